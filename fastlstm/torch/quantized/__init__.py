"""What `quantize_dynamic` puts in the place of torch's modules: weights of 8 or of 16 bits.

As those of torch.ao.nn.quantized.dynamic they take the arguments of the float module, hold no
parameters and have no backward pass.
"""

from fastlstm.torch.quantized.cells import GRUCell, LSTMCell, RNNCell
from fastlstm.torch.quantized.linear import Linear
from fastlstm.torch.quantized.sequences import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "Linear", "RNNCell"]
