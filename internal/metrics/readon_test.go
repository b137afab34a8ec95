package metrics

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestReadOn reads what writers log bit by bit, with places that go through JSON
// each time, and gets each point once.
func TestReadOn(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	l, _ := newLog(t, smallLimits)
	writers := []*Writer{newWriter(t, l), newWriter(t, l), newWriter(t, l)}
	places := map[string]Place{}
	var got []Point
	for i := range 400 {
		w := writers[random.IntN(3)]
		require.NoError(t, w.Log(fmt.Sprintf("m%d", i%5), float64(i), int64(i), testTime.Add(time.Duration(i))))
		if random.IntN(9) == 0 {
			require.NoError(t, w.Flush(t.Context()))
		}
		if random.IntN(5) > 0 {
			continue
		}
		data, err := json.Marshal(places)
		require.NoError(t, err)
		places = map[string]Place{}
		require.NoError(t, json.Unmarshal(data, &places))
		for p, err := range l.ReadOn(t.Context(), places) {
			require.NoError(t, err)
			got = append(got, p.Point)
		}
		require.Len(t, got, i+1)
	}
	before := maps.Clone(places)
	require.NoError(t, writers[0].Log("last", 1.0, 0, testTime))
	for _, err := range l.ReadOn(t.Context(), places) {
		require.NoError(t, err)
		break
	}
	require.Equal(t, before, places, "not all was taken")
	byWriter(t, got)
}

// TestReadOnDamage gives an error for points that are missing, and leaves the
// places as they were.
func TestReadOnDamage(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, defaultLimits)
	w := newWriter(t, l)
	require.NoError(t, w.Log("m", 1.0, 0, testTime))
	require.NoError(t, w.Close(t.Context()))
	places := map[string]Place{w.ID(): {Seq: 0, Segment: 1, Offset: 3}}
	var err error
	for _, err = range l.ReadOn(t.Context(), places) {
		if err != nil {
			break
		}
	}
	require.Error(t, err)
	require.EqualValues(t, 3, places[w.ID()].Offset)
}

// TestReadOnInSpool goes on within a spool file, in the file that the place is
// of and in no other, and reads one with many names from its beginning.
func TestReadOnInSpool(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, defaultLimits)
	w := newWriter(t, l)
	places := map[string]Place{}
	read := func() (values []float64) {
		for p, err := range l.ReadOn(t.Context(), places) {
			require.NoError(t, err)
			values = append(values, p.Value.(float64))
		}
		return values
	}
	log := func(name string, value float64) { require.NoError(t, w.Log(name, value, int64(value), testTime)) }
	log("a", 1)
	log("b", 2)
	require.Equal(t, []float64{1, 2}, read())
	first := *places[w.ID()].Spool
	require.EqualValues(t, 2, first.Seq)
	require.Len(t, first.Names, 2)
	log("b", 3)
	log("c", 4)
	require.Equal(t, []float64{3, 4}, read())
	require.Greater(t, places[w.ID()].Spool.Offset, first.Offset)
	require.Empty(t, read())

	reader, err := openSpool(l.spool.file(w.ID(), first.Number))
	require.NoError(t, err)
	defer reader.close()
	reader.resume(&first)
	require.Equal(t, first.Offset, reader.off)
	var e entry
	ok, err := reader.next(&e)
	require.NoError(t, err)
	require.True(t, ok)
	require.EqualValues(t, 3, e.seq)
	require.Equal(t, "b", e.series.name)

	other := places[w.ID()]
	other.Spool = &SpoolPlace{Number: first.Number, Salt: first.Salt + 1, Offset: first.Offset, Seq: 99}
	places[w.ID()] = other
	log("a", 5)
	require.Equal(t, []float64{5}, read(), "the place of another file is none")

	for i := range maxPlaceNames {
		log(fmt.Sprint("name", i), 6)
	}
	require.Len(t, read(), maxPlaceNames)
	require.Nil(t, places[w.ID()].Spool)
	log("b", 7)
	require.Equal(t, []float64{7}, read())
}
