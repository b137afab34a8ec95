package metrics

import "time"

// Kind says what the points of a metric are. A name has one kind within a
// writer.
type Kind string

// The kinds of metrics.
const (
	// KindScalar is a single number, string, bool or nothing.
	KindScalar Kind = "scalar"
	// KindList is a flat list of scalars.
	KindList Kind = "list"
	// KindTable is a set of columns of equal length; a row is a table of
	// length 1.
	KindTable Kind = "table"
	// KindImage is an image, kept as a file of the run.
	KindImage Kind = "image"
	// KindConfusionMatrix is a confusion matrix, kept as a JSON file of the run.
	KindConfusionMatrix Kind = "confusion_matrix"
	// KindAccuracyTable is an accuracy table, kept as a JSON file of the run.
	KindAccuracyTable Kind = "accuracy_table"
	// KindResiduals is a histogram of residuals, kept as a JSON file of the run.
	KindResiduals Kind = "residuals"
	// KindPredictions is a chart of predictions, kept as a JSON file of the run.
	KindPredictions Kind = "predictions"
)

// Kinds lists all kinds. The slice is the caller's own. Its order is that of
// the codes in stored files (the first is 1), so kinds are only ever added at
// the end.
func Kinds() []Kind {
	return []Kind{KindScalar, KindList, KindTable, KindImage, KindConfusionMatrix,
		KindAccuracyTable, KindResiduals, KindPredictions}
}

// Point is one logged value.
type Point struct {
	// Name is the metric's name, any UTF-8 text that is not empty.
	Name string
	// Kind says what Value is.
	Kind Kind
	// Step is the caller's step, such as the epoch; 0 when there is none.
	Step int64
	// Time is when the value was logged, to the nanosecond, in UTC when read.
	// Zero at Append means now.
	Time time.Time
	// Value goes by Kind: a scalar is a float64, int64, string, bool or nil; a
	// list is []any of scalars; a table is []Column; every other kind is a
	// string, the path of the run's file that holds it.
	Value any
	// Writer is the ID of the writer, 16 hexadecimal digits. Append sets it.
	Writer string
	// Seq counts the writer's points from 1. Append sets it.
	Seq uint64
}

// Column is one column of a table.
type Column struct {
	// Name is the column's name, any UTF-8 text.
	Name string
	// Values are the column's scalars, one for each row.
	Values []any
}

// kindCode is how stored files write a Kind: its place in Kinds, from 1.
type kindCode uint8

const codeScalar kindCode = 1

func (k Kind) code() kindCode {
	for i, kind := range Kinds() {
		if k == kind {
			return kindCode(i + 1)
		}
	}
	return 0
}

func (c kindCode) kind() Kind {
	if !c.known() {
		return ""
	}
	return Kinds()[c-1]
}

func (c kindCode) known() bool { return c > 0 && int(c) <= len(Kinds()) }

// valueType is how stored files write the type of a value.
type valueType uint8

const (
	typeFloat valueType = iota + 1
	typeInt
	typeBool
	typeNil
	typeString // also the path of a file
	typeList
	typeTable
	typeEnd // one above the last
)

func (t valueType) known() bool { return t > 0 && t < typeEnd }

// raw is a value as the formats keep it: bits for a float, int or bool, blob
// for what has no fixed size.
type raw struct {
	typ  valueType
	bits uint64
	blob []byte
}

// series is what the points of one name and type have in common.
type series struct {
	name string
	kind kindCode
	typ  valueType
}

// entry is a point as the formats keep it. Its blob belongs to the reader that
// gave it and is good until that reader's next call.
type entry struct {
	series *series
	seq    uint64
	step   int64
	time   int64
	bits   uint64
	blob   []byte
}

func (e *entry) point(writer string) (Point, error) {
	value, err := decodeValue(raw{typ: e.series.typ, bits: e.bits, blob: e.blob})
	if err != nil {
		return Point{}, err
	}
	return Point{
		Name: e.series.name, Kind: e.series.kind.kind(), Step: e.step,
		Time: time.Unix(0, e.time).UTC(), Value: value, Writer: writer, Seq: e.seq,
	}, nil
}
