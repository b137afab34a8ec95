package record

import "time"

// Upload is the record of a file that an MLflow client sends in parts, at
// "uploads/<id>/upload.json". It is there from the beginning of the upload until
// it was broken off or its time is over.
type Upload struct {
	Meta
	// ID is 32 hexadecimal digits.
	ID string `json:"uploadId"`
	// Path is where the file is to be, by the path that stands in requests behind
	// "mlflow-artifacts:/".
	Path string `json:"path"`
	// Parts is the number of its parts, which are counted from 1.
	Parts int `json:"parts"`
	// Completed is when the file was put together, zero before.
	Completed time.Time `json:"completed,omitzero"`
}

// Schema implements Record.
func (*Upload) Schema() string { return "azml.upload/1" }
