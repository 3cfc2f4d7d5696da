"""OpenCLIP's tokenizers as the `tokenizer.json` that needs neither torch nor open_clip."""

from __future__ import annotations

from typing import Any

from featurelens.errors import BackboneError

_START, _END = "<|startoftext|>", "<|endoftext|>"


def tokenizer_json(tokenizer: Any) -> str:
    """The JSON of an OpenCLIP tokenizer; BackboneError for a kind that cannot be written.

    That of CLIP is made of its word list as transformers makes it; one of the hub's has its JSON already.
    """
    inner = getattr(getattr(tokenizer, "tokenizer", None), "backend_tokenizer", None)
    if inner is not None:
        return inner.to_str()
    if not hasattr(tokenizer, "bpe_ranks"):
        raise BackboneError(f"The tokenizer {type(tokenizer).__name__} cannot be written as tokenizer.json.")
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    names: dict[str, str] = {"<start_of_text>": _START, "<end_of_text>": _END}
    words: dict[str, int] = {str(names.get(word, word)): number for word, number in tokenizer.encoder.items()}
    made = Tokenizer(
        models.BPE(
            words,
            list(tokenizer.bpe_ranks),
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            unk_token=_END,
        )
    )
    steps: Any = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    made.normalizer = normalizers.Sequence(steps)  # pyright: ignore[reportAttributeAccessIssue]
    parts = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    cut: Any = [
        pre_tokenizers.Split(parts, behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ]
    made.pre_tokenizer = pre_tokenizers.Sequence(cut)  # pyright: ignore[reportAttributeAccessIssue]
    made.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    made.add_special_tokens([_START, _END])
    made.post_processor = processors.RobertaProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        (_END, words[_END]), (_START, words[_START]), trim_offsets=False, add_prefix_space=False
    )
    return made.to_str()
