// Package tfevents reads and writes TensorBoard's event files: records with
// masked checksums (the framing of TFRecord files) that hold protocol buffers
// of type Event.
//
// Of an event it knows what TensorBoard draws: scalars, images, histograms and
// tensors with the plugin they are for. Anything else is named, not kept.
package tfevents
