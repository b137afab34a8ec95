package onnx_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/endpoint/inferencegrpc"
	pb "github.com/azml-go/azml/internal/openinference/inferencepb"
)

// ask posts JSON and gives the answer.
func ask(t *testing.T, ep *served, path string, body any) (int, map[string]any) {
	t.Helper()
	status, got, err := post(t.Context(), ep, path, body)
	require.NoError(t, err)
	return status, got
}

func post(ctx context.Context, ep *served, path string, body any) (int, map[string]any, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, ep.URL()+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	d := json.NewDecoder(resp.Body)
	d.UseNumber()
	var got map[string]any
	return resp.StatusCode, got, d.Decode(&got)
}

// datatypes gives the datatypes of the inputs as the service tells them.
func datatypes(t *testing.T, ep *served) map[string]string {
	t.Helper()
	resp, err := http.Get(ep.URL() + "/v2/models/" + ep.Name())
	require.NoError(t, err)
	defer resp.Body.Close()
	var said struct {
		Inputs []struct{ Name, Datatype string }
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&said))
	found := map[string]string{}
	for _, input := range said.Inputs {
		found[input.Name] = input.Datatype
	}
	return found
}

// TestAgainstPython: all ways of asking give what ONNX Runtime's own Python does.
func TestAgainstPython(t *testing.T) {
	t.Parallel()
	_, cases := models(t)
	ws := open(t)
	all := map[string]*served{}
	for _, c := range cases {
		if all[c.Model] == nil {
			ep, err := deploy(t, ws, endpoint.Config{Model: register(t, ws, c.Model)}, endpoint.ServeOptions{})
			require.NoError(t, err, c.Model)
			all[c.Model] = ep
		}
	}
	for i, c := range cases {
		t.Run(fmt.Sprintf("%s %d", c.Model, i), func(t *testing.T) {
			t.Parallel()
			ep := all[c.Model]
			kinds := datatypes(t, ep)
			named, tensors := map[string]any{}, []map[string]any{}
			for name, input := range c.Inputs {
				named[name] = input.Data
				tensors = append(tensors, map[string]any{"name": name, "shape": input.Shape, "datatype": kinds[name], "data": flat(input.Data)})
			}
			bodies := []any{named, map[string]any{"inputs": named}}
			if len(named) == 1 {
				only := slices.Collect(maps.Values(named))[0]
				bodies = append(bodies, map[string]any{"data": only}, only)
			}
			for _, body := range bodies {
				status, got := ask(t, ep, "/score", body)
				require.Equal(t, http.StatusOK, status, got)
				equal(t, any(c.Outputs), any(got), "")
			}
			status, got := ask(t, ep, "/v2/models/"+c.Model+"/infer", map[string]any{"inputs": tensors})
			require.Equal(t, http.StatusOK, status, got)
			outputs := got["outputs"].([]any)
			require.Len(t, outputs, len(c.Outputs))
			for _, output := range outputs {
				o := output.(map[string]any)
				want := c.Outputs[o["name"].(string)]
				equal(t, flat(want), o["data"], o["name"].(string))
				require.Equal(t, fmt.Sprint(shapeOf(want)), strings.ReplaceAll(fmt.Sprint(o["shape"]), ",", ""))
			}
		})
	}
}

// TestRefusals: who sends something wrong is told what, and the service goes on.
func TestRefusals(t *testing.T) {
	t.Parallel()
	models(t)
	ws := open(t)
	row := make([]float64, 20)
	linear, err := deploy(t, ws, endpoint.Config{Model: register(t, ws, "linear")}, endpoint.ServeOptions{})
	require.NoError(t, err)
	fixed, err := deploy(t, ws, endpoint.Config{Model: register(t, ws, "fixed")}, endpoint.ServeOptions{})
	require.NoError(t, err)
	infer := func(name, datatype string, data []float64, shape ...int) any {
		return map[string]any{"inputs": []any{map[string]any{"name": name, "shape": shape, "datatype": datatype, "data": data}}}
	}
	for name, c := range map[string]struct {
		ep   *served
		path string
		body any
		want string
	}{
		"wrong name":            {linear, "/score", map[string]any{"Y": row}, `the input "X" is missing; the model takes X (FP32 of shape [-1 20])`},
		"one name too many":     {linear, "/score", map[string]any{"X": []any{row}, "Y": 1}, `no input "Y"`},
		"too few values":        {linear, "/score", []any{row[:19]}, "dimension 2 has 19 values and not 20"},
		"too many values":       {linear, "/score", []any{append(row, 1)}, "dimension 2 has more than 20 values"},
		"too few dimensions":    {linear, "/score", row, "0 stands where a list belongs, in dimension 2"},
		"too many dimensions":   {linear, "/score", []any{[]any{row}}, "more than 2 dimensions"},
		"rows that differ":      {linear, "/score", []any{row, row[:3]}, "dimension 2 has 3 values"},
		"no rows":               {linear, "/score", []any{}, "has no values"},
		"a text":                {linear, "/score", []any{append([]any{"x"}, make([]any, 19)...)}, `"x" is no FP32`},
		"too large":             {linear, "/score", []any{append([]any{1e300}, make([]any, 19)...)}, "is no FP32"},
		"not named":             {fixed, "/score", row, "send an object of them by name"},
		"one missing":           {fixed, "/score", map[string]any{"a": row[:2]}, `"b" is missing`},
		"protocol, wrong name":  {linear, "/v2/models/linear/infer", infer("Y", "FP32", row, 1, 20), `no input "Y"`},
		"protocol, wrong type":  {linear, "/v2/models/linear/infer", infer("X", "FP64", row, 1, 20), "it is FP64, the model takes FP32"},
		"protocol, wrong shape": {linear, "/v2/models/linear/infer", infer("X", "FP32", row, 2, 10), "its shape is [2 10], the model takes [-1 20]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, got := ask(t, c.ep, c.path, c.body)
			require.Equal(t, http.StatusBadRequest, status, got)
			require.Contains(t, fmt.Sprint(got["message"], got["error"]), c.want)
		})
	}
}

// TestDeployRefuses: what can't be served is told before anything is.
func TestDeployRefuses(t *testing.T) {
	t.Parallel()
	models(t)
	ws := open(t)
	_, err := deploy(t, ws, endpoint.Config{Model: register(t, ws, "half")}, endpoint.ServeOptions{})
	require.ErrorIs(t, err, azml.ErrFailed)
	require.ErrorContains(t, err, "only tensors of numbers")
	m := register(t, ws, "linear")
	_, err = ws.Endpoints().Deploy(t.Context(), "linear", endpoint.Config{Model: m}, nil)
	require.ErrorIs(t, err, azml.ErrUnsupported)
	require.ErrorContains(t, err, "give one in Runtimes")
	_, err = deploy(t, ws, endpoint.Config{Model: m, Sample: []byte(`[[1]]`)}, endpoint.ServeOptions{})
	require.ErrorIs(t, err, azml.ErrFailed)
	require.ErrorContains(t, err, "phase sample")
}

// TestTogether: requests of many clients at once, and of models whose rows don't depend on
// each other and ones whose rows do, each get their own answer.
func TestTogether(t *testing.T) {
	t.Parallel()
	_, cases := models(t)
	ws := open(t)
	for _, name := range []string{"forest", "maps", "centred", "types"} {
		ep, err := deploy(t, ws, endpoint.Config{Model: register(t, ws, name), MaxConcurrent: 1}, endpoint.ServeOptions{})
		require.NoError(t, err)
		type answer struct {
			to     sample
			status int
			got    map[string]any
			err    error
		}
		answers := make(chan answer, 100)
		var clients sync.WaitGroup
		for range 6 {
			clients.Go(func() {
				for _, c := range cases {
					if c.Model != name {
						continue
					}
					named := map[string]any{}
					for input, v := range c.Inputs {
						named[input] = v.Data
					}
					status, got, err := post(t.Context(), ep, "/score", named)
					answers <- answer{c, status, got, err}
				}
			})
		}
		clients.Wait()
		close(answers)
		for a := range answers {
			require.NoError(t, a.err)
			require.Equal(t, http.StatusOK, a.status, a.got)
			equal(t, any(a.to.Outputs), any(a.got), name)
		}
	}
}

// TestGRPC: tensors in raw bytes are scored as they are.
func TestGRPC(t *testing.T) {
	t.Parallel()
	_, cases := models(t)
	ws := open(t)
	ep, err := deploy(t, ws, endpoint.Config{Model: register(t, ws, "logistic")}, endpoint.ServeOptions{GRPC: inferencegrpc.Listen("127.0.0.1:0")})
	require.NoError(t, err)
	require.NoError(t, ep.Refresh(t.Context()))
	conn, err := grpc.NewClient(ep.Details().Hosts[0].GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	client := pb.NewGRPCInferenceServiceClient(conn)
	for _, c := range cases {
		if c.Model != "logistic" {
			continue
		}
		var raw []byte
		for _, value := range flat(c.Inputs["X"].Data) {
			f, err := value.(json.Number).Float64()
			require.NoError(t, err)
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(f)))
		}
		got, err := client.ModelInfer(t.Context(), &pb.ModelInferRequest{ModelName: "logistic", RawInputContents: [][]byte{raw},
			Inputs: []*pb.ModelInferRequest_InferInputTensor{{Name: "X", Datatype: "FP32", Shape: c.Inputs["X"].Shape}}})
		require.NoError(t, err)
		require.Len(t, got.GetOutputs(), 2)
		require.Equal(t, "INT64", got.GetOutputs()[0].GetDatatype())
		require.Equal(t, shapeOf(c.Outputs["probabilities"]), got.GetOutputs()[1].GetShape())
		raw = got.GetRawOutputContents()[1]
		for i, want := range flat(c.Outputs["probabilities"]) {
			f, err := want.(json.Number).Float64()
			require.NoError(t, err)
			require.InDelta(t, f, math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])), 1e-5)
		}
	}
}
