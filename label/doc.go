// Package label keeps labels of a dataset's items: what somebody says that an
// image shows or a row is. Labels are a table of their own, registered and
// versioned like any dataset, whose rows name items by their IDs, so that labels
// change without the data and several sets of labels can be of the same data.
//
// The ID of a file is its path in the dataset, as Files and FS have it; that of a
// row is its value in a column that the labels name, as text.
//
// Labels come from and go to COCO's JSON and to CSV.
package label
