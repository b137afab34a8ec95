package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// maxQuery bounds the text of a query in bytes.
const maxQuery = 1 << 20

// wireColumn is backend.Column as JSON.
type wireColumn struct {
	Name         string             `json:"name"`
	DatabaseType string             `json:"databaseType,omitempty"`
	Type         backend.ColumnType `json:"type,omitempty"`
}

// wireRow is a line of the answer to a query: first the columns, then rows, then
// an error or the end.
type wireRow struct {
	Columns []wireColumn `json:"columns,omitempty"`
	Values  []*string    `json:"values,omitempty"`
	Error   *wireError   `json:"error,omitempty"`
	End     bool         `json:"end,omitempty"`
}

func (h *Handler) query(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength < 0 || r.ContentLength > maxQuery {
		return fmt.Errorf("%w: a query of %d bytes", azml.ErrInvalid, r.ContentLength)
	}
	text := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, text); err != nil {
		return cutOff(err)
	}
	store, err := h.scope.Datastore(r.Context(), r.URL.Query().Get("datastore"))
	if err != nil {
		return err
	}
	table, err := store.Query(r.Context(), string(text))
	if err != nil {
		return err
	}
	defer table.Close()
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(w)
	head := wireRow{}
	for _, c := range table.Columns() {
		head.Columns = append(head.Columns, wireColumn(c))
	}
	err = lines.Encode(head)
	for err == nil {
		err = nextRow(lines, table)
	}
	return nil // the client left, or has been told
}

// errEnd says that a table was sent to its end.
var errEnd = errors.New("the table is at its end")

// nextRow sends a row, or how the table ends.
func nextRow(lines *json.Encoder, table backend.Table) error {
	row, err := table.Next()
	if errors.Is(err, io.EOF) {
		_ = lines.Encode(wireRow{End: true})
		return errEnd
	}
	line := wireRow{Values: make([]*string, len(row))}
	for i := 0; i < len(row) && err == nil; i++ {
		line.Values[i], err = toWireValue(row[i])
	}
	if err != nil {
		e, _ := toWireError(err)
		_ = lines.Encode(wireRow{Error: e})
		return errEnd
	}
	return lines.Encode(line)
}

// The letters that a value begins with tell its type.
const (
	valueText   = 's'
	valueRaw    = 'r' // a string that is not UTF-8, in base64
	valueLong   = 'i'
	valueFloat  = 'f'
	valueBool   = 'b'
	valueTime   = 't' // seconds and nanoseconds since 1970, separated by a space
	valueBinary = 'x' // in base64
)

// toWireValue gives a value as text; nil for one that is missing.
func toWireValue(value any) (*string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		if !utf8.ValidString(v) {
			return new(string(valueRaw) + base64.StdEncoding.EncodeToString([]byte(v))), nil
		}
		return new(string(valueText) + v), nil
	case int64:
		return new(string(valueLong) + strconv.FormatInt(v, 10)), nil
	case float64:
		return new(string(valueFloat) + strconv.FormatFloat(v, 'g', -1, 64)), nil
	case bool:
		return new(string(valueBool) + strconv.FormatBool(v)), nil
	case time.Time:
		return new(string(valueTime) + strconv.FormatInt(v.Unix(), 10) + " " + strconv.Itoa(v.Nanosecond())), nil
	case []byte:
		return new(string(valueBinary) + base64.StdEncoding.EncodeToString(v)), nil
	}
	return nil, fmt.Errorf("%w: a value of type %T can't be sent", azml.ErrUnsupported, value)
}

// fromWireValue gives what toWireValue was given; times are in UTC.
func fromWireValue(text *string) (value any, err error) {
	if text == nil {
		return nil, nil
	}
	if *text == "" {
		return nil, fmt.Errorf("%w: a value without its type", azml.ErrDamaged)
	}
	rest := (*text)[1:]
	switch (*text)[0] {
	case valueText:
		return rest, nil
	case valueRaw:
		var raw []byte
		raw, err = base64.StdEncoding.DecodeString(rest)
		value = string(raw)
	case valueLong:
		value, err = strconv.ParseInt(rest, 10, 64)
	case valueFloat:
		value, err = strconv.ParseFloat(rest, 64)
	case valueBool:
		value, err = strconv.ParseBool(rest)
	case valueTime:
		value, err = parseTime(rest)
	case valueBinary:
		value, err = base64.StdEncoding.DecodeString(rest)
	default:
		err = fmt.Errorf("a value of the unknown type %q", (*text)[:1])
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrDamaged, err)
	}
	return value, nil
}

func parseTime(text string) (time.Time, error) {
	seconds, nanos, _ := strings.Cut(text, " ")
	s, err := strconv.ParseInt(seconds, 10, 64)
	n, err2 := strconv.ParseInt(nanos, 10, 64)
	return time.Unix(s, n).UTC(), errors.Join(err, err2)
}

// Query implements backend.DataTables, on the client of a datastore.
func (c *Client) Query(ctx context.Context, query string, args ...any) (backend.Table, error) {
	if len(args) > 0 {
		return nil, fmt.Errorf("%w: a run elsewhere asks what its inputs ask, which have no parameters", azml.ErrUnsupported)
	}
	answer, err := c.do(ctx, "query", url.Values{}, newUpload(strings.NewReader(query))) //nolint:bodyclose // the table closes it
	if err != nil {
		return nil, err
	}
	t := &clientTable{ctx: ctx, body: answer.Body, lines: json.NewDecoder(answer.Body)}
	var head wireRow
	if err := t.lines.Decode(&head); err != nil {
		return nil, errors.Join(lost(ctx, err), t.Close())
	}
	for _, c := range head.Columns {
		t.columns = append(t.columns, backend.Column(c))
	}
	return t, nil
}

// clientTable is the answer to a query.
type clientTable struct {
	ctx     context.Context //nolint:containedctx // of the query
	body    io.ReadCloser
	lines   *json.Decoder
	columns []backend.Column
	ended   error
}

// Columns implements backend.Table.
func (t *clientTable) Columns() []backend.Column { return t.columns }

// Next implements backend.Table.
func (t *clientTable) Next() ([]any, error) {
	if t.ended != nil {
		return nil, t.ended
	}
	var line wireRow
	err := t.lines.Decode(&line)
	switch {
	case err != nil:
		err = lost(t.ctx, fmt.Errorf("cut off: %w", err))
	case line.Error != nil:
		err = line.Error
	case line.End:
		err = io.EOF
	case len(line.Values) != len(t.columns):
		err = fmt.Errorf("%w: a row of %d values in a table of %d columns", azml.ErrDamaged, len(line.Values), len(t.columns))
	}
	row := make([]any, len(line.Values))
	for i := 0; i < len(row) && err == nil; i++ {
		row[i], err = fromWireValue(line.Values[i])
	}
	if err != nil {
		t.ended = err
		return nil, err
	}
	return row, nil
}

// Close implements io.Closer.
func (t *clientTable) Close() error { return t.body.Close() }
