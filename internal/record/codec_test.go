package record

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

func encode(t *testing.T, rec Record, previous string) map[string]any {
	t.Helper()
	var before []byte
	if previous != "" {
		before = []byte(previous)
	}
	data, err := Encode(rec, before)
	require.NoError(t, err)
	var out map[string]any
	require.NoError(t, json.Unmarshal(data, &out))
	return out
}

// stamp gives text, a record as somebody may have written it, with its checksum.
func stamp(text string) []byte {
	data := []byte(text)
	if _, ok := sumPlace(data, sumOfRecord); !ok {
		data = []byte(strings.Replace(text, "{", "{\n  \"checksum\": \""+noSum+"\",", 1))
	}
	seal(data, sumOfRecord)
	return data
}

const newerRun = `{"schema": "azml.run/1", "writeToken": "t", "runId": "r", "newTop": {"a": [1, 2.50]}, "big": 12345678901234567890,
	"tags": {"mine": "x"}, "description": "old",
	"definition": {"target": "local", "newInside": "kept", "environment": {"name": "e", "newDeep": null}},
	"error": {"code": "UserError", "newInError": 1}}`

func TestUnknownMembersAreKeptAtEveryDepth(t *testing.T) {
	t.Parallel()
	var run Run
	require.NoError(t, Decode(stamp(newerRun), &run))
	run.Description = "" // a known member that is removed goes
	run.Tags = map[string]string{"other": "y"}
	run.DisplayName = "new"
	run.Error = nil // an object that is removed goes with what was in it
	out := encode(t, &run, newerRun)
	require.Equal(t, map[string]any{"a": []any{1.0, 2.5}}, out["newTop"])
	require.NotContains(t, out, "description")
	require.NotContains(t, out, "error")
	require.Equal(t, map[string]any{"other": "y"}, out["tags"], "keys of a map are data, not members")
	require.Equal(t, "new", out["displayName"])
	definition := out["definition"].(map[string]any)
	require.Equal(t, "kept", definition["newInside"])
	require.Contains(t, definition["environment"], "newDeep")
	data, err := Encode(&run, []byte(newerRun))
	require.NoError(t, err)
	require.Contains(t, string(data), "12345678901234567890", "numbers are kept as they were written")
	require.Contains(t, string(data), "2.50")
}

func TestRemovedObjectDoesNotComeBack(t *testing.T) {
	t.Parallel()
	var run Run
	require.NoError(t, Decode(stamp(newerRun), &run))
	run.Definition = nil
	require.NotContains(t, encode(t, &run, newerRun), "definition")
}

func TestKeptMembersSurviveManyWrites(t *testing.T) {
	t.Parallel()
	data := stamp(newerRun)
	for range 3 {
		var run Run
		require.NoError(t, Decode(data, &run))
		run.Description += "x"
		var err error
		data, err = Encode(&run, data)
		require.NoError(t, err)
	}
	require.Contains(t, string(data), `"newDeep": null`)
	require.Contains(t, string(data), `"description": "oldxxx"`)
	require.True(t, strings.HasSuffix(string(data), "}\n"))
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		data  string
		class error
	}{
		"empty":                {``, azml.ErrDamaged},
		"garbage":              {`not JSON`, azml.ErrDamaged},
		"cut":                  {`{"schema": "azml.run/1", "runId`, azml.ErrDamaged},
		"two values":           {`{"schema": "azml.run/1"} {}`, azml.ErrDamaged},
		"null":                 {`null`, azml.ErrDamaged},
		"an array":             {`[]`, azml.ErrDamaged},
		"no schema":            {`{"runId": "r"}`, azml.ErrDamaged},
		"schema of other kind": {`{"schema": "azml.model/1"}`, azml.ErrDamaged},
		"schema no string":     {`{"schema": 1}`, azml.ErrDamaged},
		"no version":           {`{"schema": "azml.run"}`, azml.ErrDamaged},
		"version 0":            {`{"schema": "azml.run/0"}`, azml.ErrDamaged},
		"version no number":    {`{"schema": "azml.run/x"}`, azml.ErrDamaged},
		"member of other type": {`{"schema": "azml.run/1", "runId": 7}`, azml.ErrDamaged},
		"bad time":             {`{"schema": "azml.run/1", "created": "yesterday"}`, azml.ErrDamaged},
		"newer major":          {`{"schema": "azml.run/2", "runId": 7}`, azml.ErrUnsupported},
	} {
		require.ErrorIs(t, Decode([]byte(test.data), &Run{}), test.class, name)
		require.ErrorIs(t, Decode(stamp(test.data), &Run{}), test.class, name)
	}
	require.ErrorContains(t, Decode([]byte(`{"schema": "azml.run/1"}`), &Run{}), "no checksum")
	require.ErrorContains(t, Decode([]byte(`{"schema": "azml.run/2"}`), &Run{}), "update azml")
}

// Any bit that changes in what is stored is found, wherever it is.
func TestEveryFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	run := Run{ID: "r", Tags: map[string]string{"checksum": "00000000", "a": "\n  \"checksum\": \"00000000\""}, Error: &RunError{Message: "x"}}
	data, err := Encode(&run, stamp(newerRun))
	require.NoError(t, err)
	require.NoError(t, Decode(data, &Run{}))
	for i := range len(data) * 8 {
		data[i/8] ^= 1 << (i % 8)
		err := Decode(data, &Run{})
		require.Error(t, err, "bit %d of %q", i%8, data[max(0, i/8-20):i/8+1])
		if !errors.Is(err, azml.ErrUnsupported) { // the digit of the version is looked at first
			require.ErrorIs(t, err, azml.ErrDamaged)
		}
		data[i/8] ^= 1 << (i % 8)
	}
	require.NoError(t, Decode(data, &Run{}))
	for n := range data[:len(data)-1] {
		require.ErrorIs(t, Decode(data[:n], &Run{}), azml.ErrDamaged, "the first %d bytes", n)
	}
}

func TestEncodeOfWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	run := Run{Meta: Meta{Created: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}}
	_, err := Encode(&run, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = Encode(&Run{}, []byte("{"))
	require.ErrorIs(t, err, azml.ErrDamaged)
}

// kinds has one record of every kind.
func kinds() []Record {
	return []Record{&Workspace{}, &Experiment{}, &RunNumber{}, &Files{}, &RegisteredModel{}, &Model{}, &LoggedModel{}, &Environment{}, &Compute{}, &Endpoint{}, &Run{}, &Heartbeat{}}
}

func TestKindsAreApart(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, rec := range kinds() {
		kind, major, ok := splitSchema(rec.Schema())
		require.True(t, ok)
		require.Equal(t, 1, major)
		require.True(t, strings.HasPrefix(kind, "azml."))
		require.False(t, seen[kind], kind)
		seen[kind] = true
		data, err := Encode(rec, nil)
		require.NoError(t, err)
		for _, other := range kinds() {
			if other.Schema() == rec.Schema() {
				require.NoError(t, Decode(data, other))
				require.Equal(t, rec, other)
			} else {
				require.ErrorIs(t, Decode(data, other), azml.ErrDamaged)
			}
		}
	}
}

// What is decoded is encoded without loss: nothing unknown goes, and the same
// record is read again.
func FuzzDecodeEncode(f *testing.F) {
	f.Add([]byte(newerRun))
	f.Add([]byte(`{"schema":"azml.experiment/1","tags":{"a":"b"},"x":[{"y":1}]}`))
	f.Add([]byte(`{"schema":"azml.endpoint/1","environment":{"name":"n","z":0}}`))
	f.Add([]byte(`{"schema":"azml.run/1","RUNID":"case","runId":"r","history":[{"status":"Odd","new":1}]}`))
	for _, rec := range kinds() {
		data, err := Encode(rec, nil)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, rec := range kinds() {
			if Decode(data, rec) == nil {
				require.Equal(t, data, stamp(string(data)), "only what is sealed is read")
			}
		}
		data = stamp(string(data))
		for _, rec := range kinds() {
			if Decode(data, rec) != nil {
				continue
			}
			out, err := Encode(rec, data)
			if err != nil {
				require.ErrorIs(t, err, azml.ErrInvalid)
				continue
			}
			again := fresh(rec)
			require.NoError(t, Decode(out, again))
			first, err := json.Marshal(rec)
			require.NoError(t, err)
			second, err := json.Marshal(again)
			require.NoError(t, err)
			require.Equal(t, string(first), string(second))
			var before, after map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(data, &before))
			require.NoError(t, json.Unmarshal(out, &after))
			for name := range before {
				if !knownMember(rec, name) {
					require.Contains(t, after, name)
				}
			}
		}
	})
}

// knownMember tells whether the record's struct has the member, in any case, as
// encoding/json matches names.
func knownMember(rec Record, name string) bool {
	var known func(t reflect.Type) bool
	known = func(t reflect.Type) bool {
		for i := range t.NumField() {
			f := t.Field(i)
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous && known(f.Type) || strings.EqualFold(tag, name) {
				return true
			}
		}
		return false
	}
	return known(reflect.TypeOf(rec).Elem())
}
