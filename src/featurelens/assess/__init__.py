"""Assess: how good are these features, for this data, and which backbone to take.

Every measure is a function on arrays (`features [n, d]`, `labels [n]`) that returns a `Measure`: value,
interval, chance, protocol. `choose` runs them all over a folder of images; `write_report` shows the result.

>>> import numpy as np
>>> rows = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
>>> print(silhouette(rows, ["cat", "cat", "dog", "dog"]))
silhouette (cosine): 0.994 [0.994, 0.995], chance -0.196 (n = 4)
"""

from __future__ import annotations

from featurelens.assess.agreement import linear_cka, neighbour_agreement
from featurelens.assess.background import background_predicts, border
from featurelens.assess.choose import Choosing, choose
from featurelens.assess.clusters import Cluster, clusters
from featurelens.assess.compare import Change, compare, read_report
from featurelens.assess.copies import Pair, across, copies, two_labels
from featurelens.assess.distances import class_distances
from featurelens.assess.domains import DOMAINS, to_domain, write_domain
from featurelens.assess.findings import Findings, findings
from featurelens.assess.fusion_gain import FusionGain, fusion_gain
from featurelens.assess.geometry import alignment, hubness, intrinsic_dimension, uniformity
from featurelens.assess.mislabelled import Suspect, mislabelled
from featurelens.assess.pareto import pareto
from featurelens.assess.perturbations import PERTURBATIONS, perturb
from featurelens.assess.probe_knn import knn_probe
from featurelens.assess.probe_linear import few_shot, linear_probe
from featurelens.assess.report import render, report_data, write_report
from featurelens.assess.result import Measure
from featurelens.assess.retrieval import retrieval
from featurelens.assess.shift import Shift, class_shift, proxy_a_distance, shift
from featurelens.assess.shift_kernels import coral_distance, mmd, shift_cka
from featurelens.assess.significance import Paired, holm, paired
from featurelens.assess.silhouette import silhouette
from featurelens.assess.spectrum import alpha_req, rankme
from featurelens.assess.splits import Split, by_folder, by_ratio, in_folds
from featurelens.assess.stability import stability, stability_of
from featurelens.assess.study import Assessment, Cost, Study, measure, study
from featurelens.assess.sweep import Choice, sweep
from featurelens.assess.transferability import logme

__all__ = [
    "DOMAINS",
    "PERTURBATIONS",
    "Assessment",
    "Change",
    "Choice",
    "Choosing",
    "Cluster",
    "Cost",
    "Findings",
    "FusionGain",
    "Measure",
    "Pair",
    "Paired",
    "Shift",
    "Split",
    "Study",
    "Suspect",
    "across",
    "alignment",
    "alpha_req",
    "background_predicts",
    "border",
    "by_folder",
    "by_ratio",
    "choose",
    "class_distances",
    "class_shift",
    "clusters",
    "compare",
    "copies",
    "coral_distance",
    "few_shot",
    "findings",
    "fusion_gain",
    "holm",
    "hubness",
    "in_folds",
    "intrinsic_dimension",
    "knn_probe",
    "linear_cka",
    "linear_probe",
    "logme",
    "measure",
    "mislabelled",
    "mmd",
    "neighbour_agreement",
    "paired",
    "pareto",
    "perturb",
    "proxy_a_distance",
    "rankme",
    "read_report",
    "render",
    "report_data",
    "retrieval",
    "shift",
    "shift_cka",
    "silhouette",
    "stability",
    "stability_of",
    "study",
    "sweep",
    "to_domain",
    "two_labels",
    "uniformity",
    "write_domain",
    "write_report",
]
