package tfevents

// FileVersion is what the first event of every file says.
const FileVersion = "brain.Event:2"

// The plugins of TensorBoard that values are for.
const (
	// PluginScalars draws curves.
	PluginScalars = "scalars"
	// PluginImages shows pictures.
	PluginImages = "images"
	// PluginText shows Markdown.
	PluginText = "text"
	// PluginHistograms draws how numbers are spread over time.
	PluginHistograms = "histograms"
	// PluginCurves draws precision-recall curves.
	PluginCurves = "pr_curves"
	// PluginHParams compares runs by their parameters.
	PluginHParams = "hparams"
)

// Event is one event: values that were observed at one time.
type Event struct {
	// WallTime is when it happened, in seconds since 1970.
	WallTime float64
	// Step is the global step.
	Step int64
	// FileVersion is FileVersion in a file's first event, else empty.
	FileVersion string
	// Source is free text about where the event comes from, which TensorBoard
	// passes over.
	Source string
	// Values are what was observed.
	Values []Value
	// Other names what the event holds that this package doesn't keep, such as
	// "graph"; empty for nothing.
	Other string
}

// Value is one observed value.
type Value struct {
	// Tag is its name, with slashes between groups.
	Tag string
	// Plugin is the plugin that draws it. Writers give it at least with the
	// first value of a tag.
	Plugin string
	// PluginData is the plugin's own data, the same for all values of a tag.
	PluginData []byte
	// Data is a float32, an Image, a Histogram or a Tensor; nil for anything
	// that this package doesn't know.
	Data any
}

// Image is an encoded picture.
type Image struct {
	// Width is in pixels; TensorBoard shows the picture without it, too.
	Width int
	// Height is in pixels.
	Height int
	// Encoded is a PNG, JPEG or GIF file.
	Encoded []byte
}

// Histogram is how numbers are spread over buckets.
type Histogram struct {
	// Min is the least number, where the first bucket begins.
	Min float64
	// Max is the greatest number.
	Max float64
	// Num is how many there are.
	Num float64
	// Sum is their sum.
	Sum float64
	// SumSquares is the sum of their squares.
	SumSquares float64
	// Limits are the right ends of the buckets, which begin where the one
	// before ends.
	Limits []float64
	// Counts are the numbers in the buckets.
	Counts []float64
}

// Tensor is an array of numbers or of texts.
type Tensor struct {
	// Shape are its dimensions; a single value has none.
	Shape []int64
	// Numbers are its elements, row by row, when Texts is nil. Whole numbers
	// beyond 2^53 are rounded.
	Numbers []float64
	// Texts are its elements when it is one of texts. They may be any bytes.
	Texts [][]byte
	// Double writes Numbers with 64 bits instead of 32; readers set it by what
	// they found.
	Double bool
}
