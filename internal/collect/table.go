package collect

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"
)

// Columns are the columns that stand before those of the rows, Azure ML's names.
var Columns = []string{"$aml_dc_correlation_id", "$aml_dc_scoring_timestamp", "$aml_dc_boundary", "$aml_workspace", "$aml_service_name",
	"$aml_deployment_name", "$aml_model_name", "$aml_model_version", "$aml_request_id"}

// boundary is for how many minutes rows lie in one folder: a day.
const boundary = "1440"

// file is a file to be written.
type file struct {
	path    string
	content []byte
	bytes   int   // of the rows, as they were counted
	calls   int64 // that brought them
}

// table are the rows of one collection and day that have the same columns.
type table struct {
	collection string
	day        string
	columns    []string
	records    [][]string
	bytes      int
	calls      int64
}

// encode makes files of rows: one for each collection, day and set of columns.
func (c *Collector) encode(rows []Rows) []file {
	var tables []*table
	for _, r := range rows {
		columns, records, err := parse(r.JSON)
		if err != nil {
			c.unreadable(r, err)
			continue
		}
		if len(records) == 0 {
			c.release(len(r.JSON) + overhead)
			continue
		}
		day := r.Time.UTC().Format("2006/01/02")
		i := slices.IndexFunc(tables, func(t *table) bool {
			return t.collection == r.Collection && t.day == day && slices.Equal(t.columns, columns)
		})
		if i < 0 {
			tables, i = append(tables, &table{collection: r.Collection, day: day, columns: columns}), len(tables)
		}
		tables[i].bytes += len(r.JSON) + overhead
		tables[i].calls++
		for _, record := range records {
			tables[i].records = append(tables[i].records, append(c.prefix(r), record...))
		}
	}
	files := make([]file, 0, len(tables))
	for _, t := range tables {
		name := fmt.Sprintf("%s-%s-%06d.csv", t.collection, c.cfg.Name, c.number())
		files = append(files, file{path.Join(t.collection, t.day, name), t.csv(), t.bytes, t.calls})
	}
	return files
}

// prefix gives the values of Columns.
func (c *Collector) prefix(r Rows) []string {
	o := &c.cfg.Origin
	return []string{r.CorrelationID, r.Time.UTC().Format(time.RFC3339Nano), boundary, o.Workspace, o.Service, o.Deployment, o.Model, o.Version, r.RequestID}
}

func (t *table) csv() []byte {
	var buffer bytes.Buffer
	w := csv.NewWriter(&buffer) // a buffer takes everything
	_ = w.Write(slices.Concat(Columns, t.columns))
	_ = w.WriteAll(t.records)
	return buffer.Bytes()
}

// parse reads rows. Their columns are in the order in which they come first;
// what a row lacks is empty.
func parse(data []byte) (columns []string, records [][]string, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	index := map[string]int{}
	row := func() error {
		record := make([]string, len(columns))
		for dec.More() {
			name, value, err := member(dec)
			if err != nil {
				return err
			}
			at, ok := index[name]
			if !ok {
				at = len(columns)
				index[name], columns, record = at, append(columns, name), append(record, "")
			}
			record[at] = value
		}
		records = append(records, record)
		_, err := dec.Token()
		return err
	}
	if err = rowsOf(dec, row); err != nil {
		return nil, nil, err
	}
	for i := range records {
		records[i] = append(records[i], make([]string, len(columns)-len(records[i]))...)
	}
	return columns, records, nil
}

var errNoRows = errors.New("rows are an object, or a list of objects")

// rowsOf calls row behind the beginning of each object.
func rowsOf(dec *json.Decoder, row func() error) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		err = row()
	case json.Delim('['):
		for err == nil && dec.More() {
			if token, err = dec.Token(); err != nil {
				break
			}
			if token != json.Delim('{') {
				return errNoRows
			}
			err = row()
		}
		if err == nil {
			_, err = dec.Token()
		}
	default:
		return errNoRows
	}
	if err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errNoRows
	}
	return nil
}

// member reads a member of an object. Texts are as they are, nothing is empty,
// all else is JSON.
func member(dec *json.Decoder) (name, value string, err error) {
	token, err := dec.Token()
	if err != nil {
		return "", "", err
	}
	name, _ = token.(string) // a decoder takes nothing else there
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return "", "", err
	}
	switch {
	case string(raw) == "null":
		return name, "", nil
	case raw[0] == '"':
		err := json.Unmarshal(raw, &value)
		return name, value, err
	}
	var compact bytes.Buffer
	err = json.Compact(&compact, raw)
	return name, compact.String(), err
}
