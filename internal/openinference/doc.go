// Package openinference speaks the Open Inference Protocol, version 2, over HTTP
// for models that take and give JSON: health, metadata, inference, and the index,
// load and unload of the repository extension. It is strict: a datatype that there
// is not, a value that its datatype can't hold, and data that isn't what the shape
// says are refused with the tensor's name.
//
// The protocol: https://github.com/kserve/open-inference-protocol
package openinference
