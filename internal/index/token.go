package index

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/filter"
)

// tokenJSON is what a page token holds: the last item of the page before.
type tokenJSON struct {
	// Values has an element for each key of the order: nil when it is missing,
	// a number's bits in hexadecimal, or a text.
	Values []*string `json:"v"`
	ID     string    `json:"id"`
}

// sumSize is the length of the digest in front of a token.
const sumSize = 12

// token makes the token of the page that comes after what was found last.
func (q *Query) token(c *conn, last match) (string, error) {
	hit, err := c.hit(last)
	if err != nil {
		return "", err
	}
	values, err := q.Kind.read(hit.Key, hit.Record, hit.Metrics)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", errDecode, hit.Key, err)
	}
	t := tokenJSON{ID: hit.ID}
	for _, o := range q.Order {
		v, there := values[o.Field]
		text := v.Text
		if o.Field.Type == filter.Number {
			text = strconv.FormatUint(math.Float64bits(v.Number), 16)
		}
		if t.Values = append(t.Values, &text); !there {
			t.Values[len(t.Values)-1] = nil
		}
	}
	data, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(q.sum(data), data...)), nil
}

// sum ties what a token holds to the query.
func (q *Query) sum(data []byte) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", q.Kind.number)
	if q.Filter != nil {
		fmt.Fprintf(h, "%q\n", q.Filter)
	}
	fmt.Fprintf(h, "%q\n", q.Order)
	h.Write(data)
	return h.Sum(nil)[:sumSize]
}

// position reads the query's token, nil when there is none. Errors: ErrInvalid.
func (q *Query) position() (*position, error) {
	if q.Token == "" {
		return nil, nil
	}
	bad := fmt.Errorf("%w: page token: use the one that came with the page before, with the same filter and order", azml.ErrInvalid)
	data, err := base64.RawURLEncoding.DecodeString(q.Token)
	if err != nil || len(data) < sumSize || subtle.ConstantTimeCompare(data[:sumSize], q.sum(data[sumSize:])) == 0 {
		return nil, bad
	}
	var t tokenJSON
	if err := json.Unmarshal(data[sumSize:], &t); err != nil || len(t.Values) != len(q.Order) {
		return nil, bad
	}
	p := &position{id: t.ID}
	for i, text := range t.Values {
		v := placed{missing: text == nil}
		switch {
		case v.missing:
		case q.Order[i].Field.Type == filter.Number:
			bits, err := strconv.ParseUint(*text, 16, 64)
			if err != nil {
				return nil, bad
			}
			v.value.Number = math.Float64frombits(bits)
		default:
			v.value.Text = *text
		}
		p.values = append(p.values, v)
	}
	return p, nil
}
