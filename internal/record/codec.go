package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml"
)

// Record is implemented by pointers to the structs of this package.
type Record interface {
	// Schema names the kind and major version, such as "azml.run/1".
	Schema() string
	// Common gives the members that all records have.
	Common() *Meta
}

// Meta holds the members that all records have. Package core fills them.
type Meta struct {
	// SchemaName is the stored schema.
	SchemaName string `json:"schema"`
	// Token is drawn anew for every write, so that a writer whose answer was
	// lost recognises its own write.
	Token string `json:"writeToken"`
	// Created is when the record was first written, by the writer's clock.
	Created time.Time `json:"created"`
	// CreatedBy is who wrote it first, as user@host.
	CreatedBy string `json:"createdBy,omitempty"`
	// Modified is when the record was last written.
	Modified time.Time `json:"modified"`
	// Born is the token of the first state, empty in that one.
	Born string `json:"born,omitempty"`
	// Origin is the ID of the workspace in which this state was written, empty
	// for the one that has it: it was synced from there, and not changed since.
	Origin string `json:"origin,omitempty"`
	// Seen says of workspaces, by their IDs, which of their states this one
	// goes on from, by the Modified of the latest; see Relate.
	Seen map[string]time.Time `json:"seen,omitempty"`
	// Checksum is the CRC-32C of the record's bytes with eight zeros in its own
	// place, in hexadecimal.
	Checksum string `json:"checksum"`
}

// Common implements Record.
func (m *Meta) Common() *Meta { return m }

// Decode reads data into rec. Errors: ErrDamaged when data is no record of
// rec's kind or not as it was written, ErrUnsupported when its major version is
// greater than ours.
func Decode(data []byte, rec Record) error {
	if !bytes.HasPrefix(data, fmt.Appendf(nil, "{\n  \"schema\": %q,", rec.Schema())) { // as most records begin
		var head struct {
			Schema string `json:"schema"`
		}
		if err := json.Unmarshal(data, &head); err != nil {
			return fmt.Errorf("%w: not a JSON record: %w", azml.ErrDamaged, err)
		}
		if err := checkSchema(head.Schema, rec.Schema()); err != nil {
			return err
		}
	}
	if err := checkSum(data, sumOfRecord); err != nil {
		return err
	}
	if err := json.Unmarshal(data, rec); err != nil {
		return fmt.Errorf("%w: record doesn't fit %s: %w", azml.ErrDamaged, rec.Schema(), err)
	}
	return nil
}

func checkSchema(got, want string) error {
	gotKind, gotMajor, ok := splitSchema(got)
	wantKind, wantMajor, _ := splitSchema(want)
	switch {
	case !ok || gotKind != wantKind:
		return fmt.Errorf("%w: schema is %q, not %q", azml.ErrDamaged, got, want)
	case gotMajor > wantMajor:
		return fmt.Errorf("%w: written in format %s by a newer azml, this one reads up to %s: update azml", azml.ErrUnsupported, got, want)
	}
	return nil
}

func splitSchema(s string) (kind string, major int, ok bool) {
	kind, number, found := strings.Cut(s, "/")
	major, err := strconv.Atoi(number)
	return kind, major, found && err == nil && major > 0
}

// Encode gives rec as indented JSON. When previous (the bytes rec was decoded
// from) is given, members in it that this version doesn't know are kept, at
// any depth of nested objects; the elements of arrays are taken as they are.
func Encode(rec Record, previous []byte) ([]byte, error) {
	rec.Common().SchemaName, rec.Common().Checksum = rec.Schema(), noSum
	data, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("%w: can't be stored as JSON: %w", azml.ErrInvalid, err)
	}
	if previous != nil {
		if data, err = keepUnknown(data, previous, rec); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	out.WriteByte('\n')
	rec.Common().Checksum = seal(out.Bytes(), sumOfRecord)
	return out.Bytes(), nil
}

// keepUnknown finds what this version doesn't know by reading previous into a
// fresh struct and writing that: whatever is lost on the way is unknown.
func keepUnknown(data, previous []byte, rec Record) ([]byte, error) {
	known := fresh(rec)
	if err := json.Unmarshal(previous, known); err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrDamaged, err)
	}
	knownData, err := json.Marshal(known)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrDamaged, err)
	}
	return merge(data, previous, knownData), nil
}

// merge gives now plus the members of before that are not in known.
func merge(now, before, known json.RawMessage) json.RawMessage {
	nowMap, ok1 := object(now)
	beforeMap, ok2 := object(before)
	knownMap, ok3 := object(known)
	if !ok1 || !ok2 || !ok3 {
		return now
	}
	changed := false
	for name, old := range beforeMap {
		knownValue, isKnown := knownMap[name]
		nowValue, isNow := nowMap[name]
		switch {
		case !isKnown && !isNow:
			nowMap[name], changed = old, true
		case isKnown && isNow:
			merged := merge(nowValue, old, knownValue)
			if !bytes.Equal(merged, nowValue) {
				nowMap[name], changed = merged, true
			}
		}
	}
	if !changed {
		return now
	}
	out, err := json.Marshal(nowMap)
	if err != nil {
		return now
	}
	return out
}

func object(data json.RawMessage) (map[string]json.RawMessage, bool) {
	var m map[string]json.RawMessage
	err := json.Unmarshal(data, &m)
	return m, err == nil && m != nil
}
