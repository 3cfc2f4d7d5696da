"""The report of an assessment: one self-contained HTML page and one JSON document."""

from __future__ import annotations

from featurelens.assess.report.data import report_data
from featurelens.assess.report.maps import MAPS, check_map
from featurelens.assess.report.page import render, write_report

__all__ = ["MAPS", "check_map", "render", "report_data", "write_report"]
