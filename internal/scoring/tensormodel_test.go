package scoring

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/openinference"
)

// doubler is a model that doubles what it gets, and waits where that begins with -1.
type doubler struct {
	mu      sync.Mutex
	shapes  [][]int64 // of each call
	begun   chan struct{}
	release chan struct{}
}

func (d *doubler) predict(_ context.Context, inputs []Tensor) ([]Tensor, error) {
	in := inputs[0].Data.([]float32)
	d.mu.Lock()
	d.shapes = append(d.shapes, inputs[0].Shape)
	d.mu.Unlock()
	if in[0] == -1 {
		close(d.begun)
		<-d.release
	}
	out := make([]float32, len(in))
	for i, v := range in {
		out[i] = 2 * v
	}
	return []Tensor{{Name: "y", Shape: inputs[0].Shape, Data: out}}, nil
}

// floatTensors are a model's tensors of any shape.
func floatTensors(name string, shape ...int64) []openinference.TensorMetadata {
	return []openinference.TensorMetadata{{Name: name, Datatype: openinference.FP32, Shape: shape}}
}

// TestTensorsTogether: rows of requests that fit are given to the model together, and each
// request gets its own back.
func TestTensorsTogether(t *testing.T) {
	t.Parallel()
	d := &doubler{begun: make(chan struct{}), release: make(chan struct{})}
	scorer, err := Tensors(t.Context(), TensorModel{Inputs: floatTensors("x", -1, -1), Outputs: floatTensors("y", -1, -1), Predict: d.predict,
		Close: func() error { return nil }}, Batching{Most: 4}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	trial := len(d.shapes)
	s := serve(t, options{}, scorer)
	b := &scorer.(*tensorModel).batcher
	var all sync.WaitGroup
	all.Go(func() { s.ask(t, "POST", "/score", `[[-1]]`) })
	<-d.begun
	requests := []struct{ body, want string }{
		{`[[1, 2], [3, 4]]`, `{"y":[[2,4],[6,8]]}`},
		{`[[5, 6]]`, `{"y":[[10,12]]}`},
		{`[[7, 8, 9]]`, `{"y":[[14,16,18]]}`},
		{`[[1, 1], [1, 1]]`, `{"y":[[2,2],[2,2]]}`}, // with the first ones it would be more than 4 rows
		{`[[0.5, 1]]`, `{"y":[[1,2]]}`},
	}
	got := make([]answer, len(requests))
	for i, r := range requests {
		all.Go(func() { got[i] = s.ask(t, "POST", "/score", r.body) })
		require.Eventually(t, func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return len(b.waiting) == i+1
		}, 20*time.Second, time.Millisecond)
	}
	close(d.release)
	all.Wait()
	for i, r := range requests {
		require.Equal(t, fmt.Sprint(http.StatusOK, r.want), fmt.Sprint(got[i].status, got[i].body))
	}
	require.Equal(t, [][]int64{{1, 1}, {4, 2}, {1, 3}, {2, 2}}, d.shapes[trial:])
}

// TestIndependent: requests are joined where a trial shows that rows don't depend on each
// other.
func TestIndependent(t *testing.T) {
	t.Parallel()
	sum := func(in []float32) (sum float32) {
		for _, v := range in {
			sum += v
		}
		return sum
	}
	for name, c := range map[string]struct {
		inputs, outputs []int64
		predict         func(in []float32) []float32
		most            int
	}{
		"rows":             {[]int64{-1}, []int64{-1}, slices.Clone[[]float32], 32},
		"the sum of all":   {[]int64{-1}, []int64{-1}, func(in []float32) []float32 { return slices.Repeat([]float32{sum(in)}, len(in)) }, 1},
		"one for all":      {[]int64{-1}, []int64{-1}, func(in []float32) []float32 { return []float32{sum(in)} }, 1},
		"in another order": {[]int64{-1}, []int64{-1}, func(in []float32) []float32 { slices.Reverse(in); return in }, 1},
		"fixed input":      {[]int64{2}, []int64{-1}, slices.Clone[[]float32], 1},
		"fixed output":     {[]int64{-1}, []int64{1}, slices.Clone[[]float32], 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scorer, err := Tensors(t.Context(), TensorModel{Inputs: floatTensors("x", c.inputs...), Outputs: floatTensors("y", c.outputs...),
				Predict: func(_ context.Context, inputs []Tensor) ([]Tensor, error) {
					out := c.predict(slices.Clone(inputs[0].Data.([]float32)))
					return []Tensor{{Name: "y", Shape: []int64{int64(len(out))}, Data: out}}, nil
				}}, Batching{}, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			require.Equal(t, c.most, scorer.(*tensorModel).batcher.Most)
		})
	}
}
