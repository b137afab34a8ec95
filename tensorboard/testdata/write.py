"""Writes event files as PyTorch (tensorboardX) and TensorFlow 2 (tensorboard's
own writer and summaries) do, into the folders torch and tf of its argument."""
import sys

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.histogram import summary_v2 as histogram
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.text import summary_v2 as text
from tensorboard.plugins.scalar import summary_v2 as scalar
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util import tensor_util
from tensorboardX import SummaryWriter

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c63f8cfc0f01f0005000"
    "1ff56c7f10d0000000049454e44ae426082"
)


def torch(folder):
    w = SummaryWriter(folder)
    for i in range(50):
        w.add_scalar("train/loss", 1 / (i + 1), i, walltime=1700000000.25 + i)
    w.add_scalar("train/loss", float("nan"), 50, walltime=1700000050.25)
    w.add_text("note", "hello *you*", 1)
    w.add_image("picture", np.full((3, 4, 5), 200, dtype=np.uint8), 2)
    w.add_histogram("weights", np.arange(100), 3)
    w.add_hparams({"lr": 0.1, "opt": "sgd", "fast": True}, {"accuracy": 0.9}, name="best")
    w.close()


def tf(folder):
    w = EventFileWriter(folder)

    def add(summary, step):
        w.add_event(event_pb2.Event(wall_time=1700000000.5 + step, step=step, summary=summary))

    for i in range(10):
        add(scalar.scalar_pb("epoch_loss", i / 3), i)
    add(text.text_pb("note", "hello"), 1)
    add(text.text_pb("notes", np.array(["a", "b"])), 1)
    add(histogram.histogram_pb("weights", np.arange(100), buckets=4), 3)
    image = summary_pb2.Summary()
    image.value.add(
        tag="picture",
        metadata=image_metadata.create_summary_metadata(None, None),
        tensor=tensor_util.make_tensor_proto([b"1", b"1", PNG, PNG]),
    )
    add(image, 2)
    for name, dtype in [("half", np.float16), ("double", np.float64), ("int", np.int64), ("bool", np.bool_)]:
        plain = summary_pb2.Summary()
        plain.value.add(tag="tensor/" + name, tensor=tensor_util.make_tensor_proto(np.array(1, dtype)))
        add(plain, 0)
    vector = summary_pb2.Summary()
    vector.value.add(tag="vector", tensor=tensor_util.make_tensor_proto(np.array([1.5, 2.5, 3.5])))
    vector.value.add(tag="matrix", tensor=tensor_util.make_tensor_proto(np.ones((2, 2))))
    add(vector, 0)
    sound = summary_pb2.Summary()
    sound.value.add(tag="sound", audio=summary_pb2.Summary.Audio(encoded_audio_string=b"RIFF"))
    add(sound, 0)
    w.add_event(event_pb2.Event(graph_def=b"graph"))
    w.close()


torch(sys.argv[1] + "/torch")
tf(sys.argv[1] + "/tf")
