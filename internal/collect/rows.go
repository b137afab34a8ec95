package collect

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/azml-go/azml"
)

// parse reads rows. What one lacks is empty. Columns of JSON that are called like one of
// Columns get another name.
func parse(r *Rows) (columns []string, records [][]string, err error) {
	if r.CSV == nil {
		columns, records, err = parseJSON(r.JSON)
		return unlike(slices.Concat(Columns, columns))[len(Columns):], records, err
	}
	in := csv.NewReader(bytes.NewReader(r.CSV))
	in.FieldsPerRecord = -1
	if records, err = in.ReadAll(); err != nil || len(records) == 0 {
		return nil, nil, err
	}
	if err = fits(len(records), len(records[0])); err != nil {
		return nil, nil, err
	}
	columns = unlike(records[0])
	for i, record := range records {
		records[i] = append(record, make([]string, max(len(columns)-len(record), 0))...)
	}
	return columns, records[1:], nil
}

// maxValues is how many values the rows of a call may have, with Columns and what is
// empty: few rows of unlike columns would become many.
const maxValues = 4 << 20

func fits(rows, columns int) error {
	if rows*(len(Columns)+columns) > maxValues {
		return fmt.Errorf("%w: %d rows of %d columns are more than %d values, with %d before each row: collect fewer at once", azml.ErrInvalid, rows, columns, maxValues, len(Columns))
	}
	return nil
}

// unlike gives names of columns that are all unlike: "a", "a.1", as pandas does.
func unlike(names []string) []string {
	taken, again := map[string]bool{}, map[string]int{}
	for i, name := range names {
		for taken[names[i]] {
			again[name]++
			names[i] = fmt.Sprintf("%s.%d", name, again[name])
		}
		taken[names[i]] = true
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
		if _, err := dec.Token(); err != nil {
			return err
		}
		return fits(len(records), len(columns))
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
