"""Windows of the data loader that our module configures, as torchtitan builds it for one rank."""

from itertools import islice

from order import EXPORTED, LENGTH, SAMPLES, by_window, finish, numbers
from torchtitan.components.tokenizer import BaseTokenizer


class Words(BaseTokenizer):
    """The number of each word, between a first and a last token, as torchtitan asks for."""

    def __init__(self):
        super().__init__()
        self.eos_id, self.numbers = 0, numbers()

    def encode(self, text, add_bos=True, add_eos=True):
        return [0] * add_bos + [self.numbers[word] for word in text.split()] + [0] * add_eos

    def decode(self, *arguments, **options):
        raise NotImplementedError

    def get_vocab_size(self):
        return len(self.numbers) + 1


space = {}
exec(compile(EXPORTED.read_text(encoding="utf-8"), str(EXPORTED), "exec"), space)
loader = space["DATALOADER"].build(
    dp_world_size=1, dp_rank=0, tokenizer=Words(), seq_len=LENGTH, local_batch_size=1
)
windows = (batch[0]["input"][0].tolist() for batch in islice(loader, SAMPLES))
finish("torchtitan", [by_window(window) for window in windows])
