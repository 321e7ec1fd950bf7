"""Text: reading it, dividing it into parts, tokenizing it, and drawing mixtures of it.

Sources may be tokens already (``token_source``); then shards refer to them (``mapped_shard``).

The way of a document: ``readers`` -> ``preparation`` (cleaned, and divided into a ``corpus``) ->
``tokenization`` (shards on disk) -> ``stream`` (training batches) or ``evaluation_set`` (fixed windows).
"""

from cuvee.sources.contamination import Contamination
from cuvee.sources.corpus import Corpus
from cuvee.sources.corpus_report import CorpusReport, PartInfo, SourceReport
from cuvee.sources.document import Document
from cuvee.sources.evaluation_set import EvaluationSet
from cuvee.sources.file_types import COMPRESSIONS
from cuvee.sources.harness import read_task
from cuvee.sources.preparation import prepare
from cuvee.sources.readers import READERS, ReadOptions, SourceSpec, read_source
from cuvee.sources.request_windows import Cut, request_windows
from cuvee.sources.shards import TokenShard, write_shard
from cuvee.sources.split import SplitOptions, unit_part
from cuvee.sources.stream import MixedStream
from cuvee.sources.task_requests import TaskItem, TaskRequests
from cuvee.sources.task_tokens import RequestTokenizer, TaskTokens
from cuvee.sources.tokenization import ShardTask, tokenize, write_part
from cuvee.sources.tokenizer import Tokenizer, load_tokenizer, tokenizer_hash, train_tokenizer

__all__ = [
    "COMPRESSIONS",
    "READERS",
    "Contamination",
    "Corpus",
    "CorpusReport",
    "Cut",
    "Document",
    "EvaluationSet",
    "MixedStream",
    "PartInfo",
    "ReadOptions",
    "RequestTokenizer",
    "ShardTask",
    "SourceReport",
    "SourceSpec",
    "SplitOptions",
    "TaskItem",
    "TaskRequests",
    "TaskTokens",
    "TokenShard",
    "Tokenizer",
    "load_tokenizer",
    "prepare",
    "read_source",
    "read_task",
    "request_windows",
    "tokenize",
    "tokenizer_hash",
    "train_tokenizer",
    "unit_part",
    "write_part",
    "write_shard",
]
