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
// When a run has ended, [Log.Seal] makes one Parquet object of its segments,
// with a digest of summaries and charts beside it. A log may be partly sealed:
// readers merge all of it.
//
// The files here go by topic: values (value, blob), the spool (spoolformat,
// spoolfile, spoolreader, spooldir, mapping, lock), segments (columns, floats,
// frame, framereader, segment, shipper), the sealed form (table, tablewrite, tablecolumns,
// tableread, valueencoding, blocks, digest, bucket, sealed, seal), and what the
// package does with them (writer, drain, recover, read, summary, chart, export,
// verify).
package metrics
