package core

// DatasetPrefix is the prefix of the records of registered datasets. It is here,
// below the packages dataset and model, because both look: a model names the
// datasets that it was made with.
const DatasetPrefix = "datasets/"

// DatasetVersions gives the series of the versions of a dataset.
func DatasetVersions(name string) Series {
	return Series{Kind: "dataset", Name: name, Prefix: DatasetPrefix + name + "/"}
}
