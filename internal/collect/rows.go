package collect

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// parse reads rows. What one lacks is empty.
func parse(r *Rows) (columns []string, records [][]string, err error) {
	if r.CSV == nil {
		return parseJSON(r.JSON)
	}
	in := csv.NewReader(bytes.NewReader(r.CSV))
	in.FieldsPerRecord = -1
	if records, err = in.ReadAll(); err != nil || len(records) == 0 {
		return nil, nil, err
	}
	columns = unlike(records[0])
	for i, record := range records {
		records[i] = append(record, make([]string, max(len(columns)-len(record), 0))...)
	}
	return columns, records[1:], nil
}

// unlike gives names of columns that are all unlike: "a", "a.1", as pandas does.
func unlike(names []string) []string {
	for i := range names {
		for n, name := 1, names[i]; slices.Contains(names[:i], names[i]); n++ {
			names[i] = fmt.Sprintf("%s.%d", name, n)
		}
	}
	return names
}

// parseJSON reads rows whose columns are in the order in which they come first.
func parseJSON(data []byte) (columns []string, records [][]string, err error) {
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
