// Package tensorboard carries runs to TensorBoard and back: [Export] writes
// event files of runs, also while they go on, and [Import] makes runs of event
// files that TensorFlow, PyTorch or others have written.
package tensorboard
