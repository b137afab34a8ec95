package delimited

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/azml-go/azml/internal/datafile"
)

func BenchmarkRead(b *testing.B) {
	var text strings.Builder
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same numbers each time
	text.WriteString("id,x,y,name,flag,when\n")
	const rows = 300_000
	for i := range rows {
		fmt.Fprintf(&text, "%d,%.4f,%v,name %d,%t,2024-01-%02dT10:%02d:00\n", i, r.Float64()*100, r.Float64(), r.IntN(1000), i%3 == 0, i%28+1, i%60)
	}
	files := []datafile.File{datafile.Bytes("x.csv", []byte(text.String()))}
	schema, err := Infer(b.Context(), files, nil, 200, &Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		n := 0
		for part, err := range Read(b.Context(), files, schema, nil, &Options{}) {
			if err != nil {
				b.Fatal(err)
			}
			n += part.Rows
		}
		if n != rows {
			b.Fatal(n)
		}
	}
}
