package runconfig

// DataReference is a folder of a datastore.
type DataReference struct {
	// DataStoreName is the datastore's name.
	DataStoreName string `rc:"dataStoreName,null"`
	// PathOnDataStore is the path in it.
	PathOnDataStore string `rc:"pathOnDataStore,null"`
	// Mode is mount, download or upload; default mount.
	Mode string `rc:"mode"`
	// Overwrite replaces files that are there; default false.
	Overwrite bool `rc:"overwrite"`
	// PathOnCompute is where the data is on the compute.
	PathOnCompute string `rc:"pathOnCompute,null"`
}

// Data is an input of a run.
type Data struct {
	// DataLocation says where the data is.
	DataLocation *DataLocation `rc:"dataLocation"`
	// CreateOutputDirectories makes the folders of outputs; default false.
	CreateOutputDirectories bool `rc:"createOutputDirectories"`
	// Mechanism is direct, mount, download or upload.
	Mechanism string `rc:"mechanism,null"`
	// EnvironmentVariableName is the variable that tells the script the path.
	EnvironmentVariableName string `rc:"environmentVariableName,null"`
	// PathOnCompute is where the data is on the compute.
	PathOnCompute string `rc:"pathOnCompute,null"`
	// Overwrite replaces files that are there; default false.
	Overwrite bool `rc:"overwrite"`
	// Options are the mechanism's options, kept as they are.
	Options map[string]any `rc:"options,null"`
}

// DataLocation says where data is: exactly one of the three is set.
type DataLocation struct {
	// Dataset is a registered or saved dataset.
	Dataset *Dataset `rc:"dataset"`
	// DataPath is a path in a datastore.
	DataPath *DataPath `rc:"dataPath"`
	// URI is a path or URL.
	URI *URI `rc:"uri"`
}

// Dataset names a dataset, by ID or by name and version.
type Dataset struct {
	// ID is the dataset's ID.
	ID string `rc:"id,null"`
	// Name is the name it is registered under.
	Name string `rc:"name,null"`
	// Version is the version; the newest when empty.
	Version string `rc:"version,null"`
}

// DataPath is a path in a datastore.
type DataPath struct {
	// DatastoreName is the datastore's name.
	DatastoreName string `rc:"datastoreName,null"`
	// RelativePath is the path in it.
	RelativePath string `rc:"relativePath,null"`
}

// URI is a path or URL.
type URI struct {
	// Path is the path or URL.
	Path string `rc:"path,null"`
	// IsFile tells a file from a folder; default false.
	IsFile bool `rc:"isFile"`
}

// DataCache is a cache of data on the compute.
type DataCache struct {
	// DataCacheID is the cache's ID.
	DataCacheID string `rc:"datacacheId,null"`
	// DataCacheStore is the name of its store.
	DataCacheStore string `rc:"datacacheStore,null"`
	// DatasetID is the ID of the file dataset in it.
	DatasetID string `rc:"datasetId,null"`
	// Mode is how it is made available.
	Mode string `rc:"mode,null"`
	// Replica is the number of replicas used.
	Replica int `rc:"replica,null"`
	// FailureFallback reads the source when the cache fails; default false.
	FailureFallback bool `rc:"failureFallback"`
	// PathOnCompute is where the data is on the compute.
	PathOnCompute string `rc:"pathOnCompute,null"`
}

// OutputData is an output of a run.
type OutputData struct {
	// OutputLocation says where the output goes; the default datastore when nil.
	OutputLocation *DataLocation `rc:"outputLocation"`
	// Mechanism is mount, upload, direct or hdfs.
	Mechanism string `rc:"mechanism,null"`
	// AdditionalOptions say how it is uploaded and tracked.
	AdditionalOptions *OutputOptions `rc:"additionalOptions"`
}

// OutputOptions say how an output is uploaded and tracked.
type OutputOptions struct {
	// PathOnCompute is the folder on the compute that the script writes.
	PathOnCompute string `rc:"pathOnCompute,null"`
	// RegistrationOptions register the output as a dataset.
	RegistrationOptions *RegistrationOptions `rc:"registrationOptions"`
	// UploadOptions are the options of mechanism upload.
	UploadOptions *UploadOptions `rc:"uploadOptions"`
	// MountOptions are the options of mechanism mount.
	MountOptions *MountOptions `rc:"mountOptions"`
}

// RegistrationOptions register an output as a dataset.
type RegistrationOptions struct {
	// Name is the dataset's name.
	Name string `rc:"name,null"`
	// Description describes it.
	Description string `rc:"description,null"`
	// Tags are its tags.
	Tags map[string]string `rc:"tags,null"`
	// DatasetRegistrationOptions are kept as they are.
	DatasetRegistrationOptions map[string]any `rc:"datasetRegistrationOptions,null"`
}

// UploadOptions are the options of uploading an output.
type UploadOptions struct {
	// Overwrite replaces files that are there; default false.
	Overwrite bool `rc:"overwrite"`
	// SourceGlobs choose the files; all when nil.
	SourceGlobs *Globs `rc:"sourceGlobs"`
}

// Globs choose files.
type Globs struct {
	// Patterns are glob patterns.
	Patterns []string `rc:"patterns,null"`
}

// MountOptions are the options of mounting an output.
type MountOptions struct {
	// DisableMetadataCache asks the store for every look; default false.
	DisableMetadataCache bool `rc:"disableMetadataCache"`
}
