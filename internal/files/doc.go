// Package files stores the contents of files content-addressed in a
// [backend.Objects]: snapshots, run outputs, model files and datasets.
//
// A [Manifest] maps paths to modes, sizes, digests and lists of chunks; its ID
// is the SHA-256 of its canonical bytes. Contents are cut into chunks where
// their bytes say so (FastCDC, 1 MiB on average), so that a small change of a
// big file leaves most of its chunks as they were. A chunk is stored once per
// store, in a pack of about 16 MiB together with others: 5,000 small files are
// two objects, a gigabyte is 64. An index object tells which chunk lies where.
//
// Writing is a [Batch]: add files, Commit, then [Store.PutManifest], then refer
// to the manifest from a record. Nothing is reachable before that, so a writer
// may die at any moment. [Store.Collect] removes what no record reaches; it is
// safe beside writers as long as none of them takes longer than the grace
// period from the start of its batch to the record.
package files
