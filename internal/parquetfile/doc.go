// Package parquetfile reads Parquet files into columns.
//
// Each column of a file is read by a goroutine of its own, a batch ahead of the
// others at most, so that pages are unpacked on all cores in bounded memory and
// rows come in order, however the file's row groups are cut. Values of plain
// columns are taken from pages as whole slices; only lists, maps and structs are
// put together one by one, as JSON.
//
// Files are not trusted: the decoder's panics are errors, and what it would make
// room for unseen is compared with the file's size first.
package parquetfile
