package index

import (
	"crypto/rand"
	"encoding/binary"
	"math"

	"github.com/azml-go/azml/internal/filter"
)

// put writes the change. Of the values only those that differ are written.
func (c *conn) put(ch *change) error {
	var before filter.Row
	if ch.old != nil {
		before = ch.old.values
	}
	if ch.now == nil {
		return c.remove(ch, before)
	}
	if err := c.putItem(ch); err != nil {
		return err
	}
	return c.putValues(ch.kind, ch.now.n, before, ch.now.values)
}

// putItem writes the item without its values, and sets its number.
func (c *conn) putItem(ch *change) error {
	now, kind := ch.now, ch.kind.number
	if now.hidden {
		kind = -kind
	}
	record, sums, places := filled(now.record), filled(now.summaries), filled(now.places)
	if ch.old != nil {
		if err := c.exec(`UPDATE item SET kind = ?, etag = ?, mark = ?, live = ?, state = ? WHERE n = ?`,
			kind, now.etag, now.mark, int(now.live), newState(), now.n); err != nil {
			return err
		}
		return c.exec(`UPDATE doc SET record = ?, summaries = ?, places = ? WHERE item = ?`, record, sums, places, now.n)
	}
	err := c.exec(`INSERT INTO item(kind, id, key, etag, mark, live, state) VALUES(?, ?, ?, ?, ?, ?, ?)`,
		kind, ch.kind.id(ch.key), ch.key, now.etag, now.mark, int(now.live), newState())
	if err != nil {
		return err
	}
	now.n = c.LastInsertRowID()
	return c.exec(`INSERT INTO doc VALUES(?, ?, ?, ?)`, now.n, record, sums, places)
}

// newState gives the mark of an item's new state.
func newState() int64 {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	return int64(binary.LittleEndian.Uint64(random[:]))
}

// filled gives b, or empty bytes for nil, which would be NULL.
func filled(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (c *conn) remove(ch *change, before filter.Row) error {
	if err := c.putValues(ch.kind, ch.old.n, before, nil); err != nil {
		return err
	}
	if err := c.exec(`DELETE FROM doc WHERE item = ?`, ch.old.n); err != nil {
		return err
	}
	return c.exec(`DELETE FROM item WHERE n = ?`, ch.old.n)
}

// putValues makes the values of an item those of now.
func (c *conn) putValues(k *Kind, item int64, before, now filter.Row) error {
	for f := range before {
		if _, stays := now[f]; stays {
			continue
		}
		n, err := c.makeField(k.number, f)
		if err != nil {
			return err
		}
		if err := c.exec(`DELETE FROM `+table(f)+` WHERE field = ? AND item = ?`, n, item); err != nil {
			return err
		}
	}
	for f, v := range now {
		if old, was := before[f]; was && equal(f, old, v) {
			continue
		}
		n, err := c.makeField(k.number, f)
		if err != nil {
			return err
		}
		err = c.exec(`INSERT INTO `+table(f)+` VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`, n, item, argument(f, v))
		if err != nil {
			return err
		}
	}
	return nil
}

func equal(f filter.Field, a, b filter.Value) bool {
	if f.Type == filter.Number {
		return math.Float64bits(a.Number) == math.Float64bits(b.Number)
	}
	return a.Text == b.Text
}

// table names the table of the field's values.
func table(f filter.Field) string {
	if f.Type == filter.Number {
		return "number"
	}
	return "text"
}

// argument gives the value as the table has it.
func argument(f filter.Field, v filter.Value) any {
	switch {
	case f.Type == filter.Text:
		return v.Text
	case math.IsNaN(v.Number):
		return nan
	}
	return v.Number
}
