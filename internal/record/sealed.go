package record

// SealedMetrics says which objects hold a run's sealed metrics, at
// "runs/<id>/metrics-<life>/sealed.json". It is written by compare-and-swap: whoever
// writes it has sealed the metrics.
type SealedMetrics struct {
	Meta
	// Points is the Parquet object with every point.
	Points SealedObject `json:"points"`
	// Digest is the object with summaries and charts, all of it computed from
	// Points.
	Digest SealedObject `json:"digest"`
	// Count is the number of points.
	Count int64 `json:"count"`
	// Writers says, by the writer's ID, how far its points are in Points.
	Writers map[string]SealedWriter `json:"writers"`
}

// SealedObject is an object beside the record, written once.
type SealedObject struct {
	// Name is the last part of its key.
	Name string `json:"name"`
	// Size is its length in bytes.
	Size int64 `json:"size"`
	// Sums are the CRC-32C of its blocks of 64 KiB, four little-endian bytes
	// each, the last block being shorter.
	Sums []byte `json:"sums"`
}

// SealedWriter is how far one writer's points are sealed.
type SealedWriter struct {
	// Seq is the last point.
	Seq uint64 `json:"seq"`
	// Segment is the highest number of a segment the writer had.
	Segment int `json:"segment"`
	// Latest is the greatest time of its points, in nanoseconds since 1970.
	Latest int64 `json:"latest"`
}

// Schema implements Record.
func (*SealedMetrics) Schema() string { return "azml.sealed-metrics/1" }
