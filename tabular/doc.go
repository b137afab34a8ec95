// Package tabular holds rows by columns: what package dataset reads files into.
//
// A [Batch] has some thousand consecutive rows of a table as one slice of plain
// Go values for each column, so that a program loops over float64s and int64s
// and copies nothing. It is deliberately smaller than Arrow: no validity bits,
// no offsets, no reference counts, and a string is a Go string. Code that needs
// Arrow's memory layout builds it from the slices in one pass.
package tabular
