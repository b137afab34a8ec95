// Package metrics is a run's metric log: append only, with any number of
// writers (threads, processes, machines) to one run, at the speed of memory.
//
// A writer puts every point into a spool file, a mapped file on the local
// disk, so that the point survives the death of the process as soon as Log
// returns. From there points are shipped in frames, which are columnar batches
// under a checksum, to the writer's own segment objects in the store. A store
// that fails or is slow only makes the spool longer. The spool of a writer that
// died is shipped by [Log.Recover].
//
// Every point has a writer and a sequence number, which rises by one from
// point to point of a writer. Readers take each number once, so a frame
// that was stored twice does no harm, and a number that is missing is reported
// as damage.
//
// The files here go by topic: values (value, blob), the spool (spoolformat,
// spoolfile, spoolreader, spooldir, mapping, lock), segments (columns, floats,
// frame, framereader, segment, shipper), and what the package does with them
// (writer, drain, recover, read, follow, summary, verify).
package metrics
