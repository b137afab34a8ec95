package record

// Datastore is the record of a datastore, at "datastores/<name>.json".
type Datastore struct {
	Meta
	// Name is the datastore's name.
	Name string `json:"name"`
	// Type is the kind of datastore, such as "AzureBlob".
	Type string `json:"type"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels.
	Tags map[string]string `json:"tags,omitempty"`
	// Connection are the facts of the connection, none of them secret. Their
	// names are the type's own.
	Connection map[string]string `json:"connection,omitempty"`
	// Secret is the name of the secret that holds the credentials, a JSON object
	// of strings. Empty when there are none. It is drawn anew whenever
	// the datastore is registered, so that record and credentials change in one
	// write.
	Secret string `json:"secret,omitempty"`
}

// Schema implements Record.
func (*Datastore) Schema() string { return "azml.datastore/1" }
