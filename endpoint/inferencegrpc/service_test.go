package inferencegrpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/openinference"
	pb "github.com/azml-go/azml/internal/openinference/inferencepb"
	"github.com/azml-go/azml/internal/testenv"
)

// models has one model, whose answer is what score gives.
type models struct {
	score func(body []byte) ([]byte, error)
}

func (m models) Model(_ context.Context, name, version string) (*openinference.Model, error) {
	if name != "m" || version != "" && version != "1" {
		return nil, fmt.Errorf("%w: model %s %s", azml.ErrNotFound, name, version)
	}
	return &openinference.Model{Metadata: openinference.Metadata{Name: "m", Versions: []string{"1"}, Platform: "test"}, Version: "1",
		Ready: func() error { return nil }, Score: func(_ context.Context, body []byte) ([]byte, error) { return m.score(body) }}, nil
}

func (m models) Index(context.Context) ([]openinference.Entry, error) {
	return []openinference.Entry{{Name: "m", Version: "1", State: openinference.Ready}}, nil
}

func (m models) Load(_ context.Context, name string) error {
	_, err := m.Model(context.Background(), name, "")
	return err
}

func (m models) Unload(ctx context.Context, name string) error { return m.Load(ctx, name) }

// echo answers with the tensors that it was given.
func echo(body []byte) ([]byte, error) {
	var asked struct{ Inputs, Data json.RawMessage }
	err := json.Unmarshal(body, &asked)
	if asked.Inputs == nil {
		return asked.Data, err
	}
	return asked.Inputs, err
}

func serveModels(t *testing.T, score func(body []byte) ([]byte, error)) pb.GRPCInferenceServiceClient {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := grpc.NewServer()
	register(s, models{score}, openinference.Options{Name: "azml", Version: "1.0"})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		require.NoError(t, <-done)
	})
	return dial(t, l.Addr().String())
}

func dial(t *testing.T, address string) pb.GRPCInferenceServiceClient {
	t.Helper()
	return dialBy(t, address, insecure.NewCredentials())
}

func dialBy(t *testing.T, address string, by credentials.TransportCredentials) pb.GRPCInferenceServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(by))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return pb.NewGRPCInferenceServiceClient(conn)
}

func TestCalls(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := serveModels(t, echo)
	live, err := c.ServerLive(ctx, &pb.ServerLiveRequest{})
	require.NoError(t, err)
	require.True(t, live.GetLive())
	about, err := c.ServerMetadata(ctx, &pb.ServerMetadataRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{"model_repository"}, about.GetExtensions())
	_, err = c.ModelMetadata(ctx, &pb.ModelMetadataRequest{Name: "m", Version: "2"})
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = c.RepositoryModelLoad(ctx, &pb.RepositoryModelLoadRequest{ModelName: "none"})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func one(datatype string, shape []int64, contents *pb.InferTensorContents, raw ...[]byte) *pb.ModelInferRequest {
	return &pb.ModelInferRequest{ModelName: "m", RawInputContents: raw,
		Inputs: []*pb.ModelInferRequest_InferInputTensor{{Name: "x", Datatype: datatype, Shape: shape, Contents: contents}}}
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	c := serveModels(t, echo)
	for name, tt := range map[string]struct {
		req  *pb.ModelInferRequest
		want string
	}{
		"no inputs":            {&pb.ModelInferRequest{ModelName: "m"}, "no inputs"},
		"no such datatype":     {one("FLOAT", []int64{1}, nil), `datatype "FLOAT"`},
		"deep":                 {one("FP32", slices.Repeat([]int64{1}, 1_000_000), &pb.InferTensorContents{Fp32Contents: []float32{1}}), "more than 64 dimensions"},
		"too few":              {one("FP32", []int64{2}, &pb.InferTensorContents{Fp32Contents: []float32{1}}), "1 values, the shape [2] has 2"},
		"another list":         {one("FP32", []int64{1}, &pb.InferTensorContents{Fp64Contents: []float64{1}}), "0 values"},
		"too large":            {one("INT8", []int64{1}, &pb.InferTensorContents{IntContents: []int32{128}}), "128 is no INT8"},
		"halves in a list":     {one("FP16", []int64{1}, &pb.InferTensorContents{Fp32Contents: []float32{1}}), "raw contents"},
		"no text":              {one("BYTES", []int64{1}, &pb.InferTensorContents{BytesContents: [][]byte{{0xff}}}), "no UTF-8"},
		"half a value":         {one("INT32", []int64{1}, nil, []byte{1, 2}), "no whole number of values"},
		"half a length":        {one("BYTES", []int64{1}, nil, []byte{1, 2}), "within the length of value 1"},
		"half a text":          {one("BYTES", []int64{1}, nil, []byte{9, 0, 0, 0, 'a'}), "within value 1"},
		"raw and not":          {one("INT8", []int64{1}, &pb.InferTensorContents{}, []byte{1}), "both contents and raw"},
		"more raw than inputs": {one("INT8", []int64{1}, nil, []byte{1}, []byte{2}), "2 raw contents for 1 inputs"},
	} {
		_, err := c.ModelInfer(t.Context(), tt.req)
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
		require.ErrorContains(t, err, tt.want, name)
	}
}

func TestModelsThatFail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		code codes.Code
	}{
		{errors.New("secret"), codes.Internal}, {fmt.Errorf("%w: secret", azml.ErrUnavailable), codes.Unavailable},
		{fmt.Errorf("secret: %w", context.DeadlineExceeded), codes.DeadlineExceeded}, {fmt.Errorf("%w: seven rows", azml.ErrInvalid), codes.InvalidArgument},
	} {
		c := serveModels(t, func([]byte) ([]byte, error) { return nil, tt.err })
		_, err := c.ModelInfer(t.Context(), one("INT8", []int64{1}, nil, []byte{1}))
		require.Equal(t, tt.code, status.Code(err))
		require.NotContains(t, err.Error(), "secret")
	}
}

// All raw values come back as they were, with the datatypes that answers have.
func TestRawContents(t *testing.T) {
	t.Parallel()
	c := serveModels(t, echo)
	for _, tt := range []struct {
		datatype string
		raw      []byte
		answer   string
		want     []byte
	}{
		{"BOOL", []byte{0, 1}, "BOOL", []byte{0, 1}},
		{"INT8", []byte{0xff, 5}, "INT64", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 5, 0, 0, 0, 0, 0, 0, 0}},
		{"UINT16", []byte{0xff, 0xff, 1, 0}, "INT64", []byte{0xff, 0xff, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
		{"FP16", []byte{0, 0x3a, 0, 0xc1}, "FP64", []byte{0, 0, 0, 0, 0, 0, 0xe8, 0x3f, 0, 0, 0, 0, 0, 0, 4, 0xc0}}, // 0.75 and -2.5
		{"FP32", []byte{0, 0, 0xc0, 0x3f, 0, 0, 0xc0, 0x7f}, "FP64", []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 1, 0, 0, 0, 0, 0, 0xf8, 0x7f}},
		{"BYTES", []byte{1, 0, 0, 0, 'a', 0, 0, 0, 0}, "BYTES", []byte{1, 0, 0, 0, 'a', 0, 0, 0, 0}},
	} {
		resp, err := c.ModelInfer(t.Context(), one(tt.datatype, []int64{2}, nil, tt.raw))
		require.NoError(t, err, tt.datatype)
		require.Equal(t, tt.answer, resp.GetOutputs()[0].GetDatatype(), tt.datatype)
		require.Equal(t, [][]byte{tt.want}, resp.GetRawOutputContents(), tt.datatype)
	}
}

// startMLServer serves a model that echoes with the real server.
func startMLServer(t *testing.T) pb.GRPCInferenceServiceClient {
	t.Helper()
	_, address := testenv.StartMLServer(t)
	c := dial(t, address)
	require.Eventually(t, func() bool {
		ready, err := c.ModelReady(t.Context(), &pb.ModelReadyRequest{Name: "m"})
		return err == nil && ready.GetReady()
	}, 2*time.Minute, 50*time.Millisecond)
	return c
}

// randomTensor gives a tensor in a list or as raw bytes.
func randomTensor(random *rand.Rand, name string) *pb.ModelInferRequest_InferInputTensor {
	shape := []int64{1 + random.Int64N(3), 1 + random.Int64N(3)}
	input := &pb.ModelInferRequest_InferInputTensor{Name: name, Shape: shape, Contents: &pb.InferTensorContents{}}
	kind := random.IntN(4)
	for range shape[0] * shape[1] {
		switch kind {
		case 0:
			input.Datatype = "FP64"
			input.Contents.Fp64Contents = append(input.Contents.Fp64Contents, random.Float64()+0.001)
		case 1:
			input.Datatype = "INT64"
			input.Contents.Int64Contents = append(input.Contents.Int64Contents, random.Int64N(1<<50)-1<<49)
		case 2:
			input.Datatype = "BOOL"
			input.Contents.BoolContents = append(input.Contents.BoolContents, random.IntN(2) == 0)
		default:
			input.Datatype = "BYTES"
			input.Contents.BytesContents = append(input.Contents.BytesContents, fmt.Appendf(nil, "text %d é", random.IntN(100)))
		}
	}
	return input
}

// What the protocol says is answered as MLServer does, over a client that is made
// of our own description of the messages.
func TestAnswersAreMLServers(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	theirs, ours := startMLServer(t), serveModels(t, echo)
	want, err := theirs.RepositoryIndex(ctx, &pb.RepositoryIndexRequest{})
	require.NoError(t, err)
	got, err := ours.RepositoryIndex(ctx, &pb.RepositoryIndexRequest{})
	require.NoError(t, err)
	for _, m := range want.GetModels() {
		m.State = strings.TrimPrefix(m.GetState(), "State.") // as its language prints it
	}
	require.True(t, proto.Equal(want, got), "%v and not %v", got, want)
	about, err := theirs.ModelMetadata(ctx, &pb.ModelMetadataRequest{Name: "m"})
	require.NoError(t, err)
	ourAbout, err := ours.ModelMetadata(ctx, &pb.ModelMetadataRequest{Name: "m"})
	require.NoError(t, err)
	require.Equal(t, about.GetVersions(), ourAbout.GetVersions())
	require.Equal(t, about.GetPlatform(), ourAbout.GetPlatform())
	_, err = theirs.ModelInfer(ctx, &pb.ModelInferRequest{ModelName: "none"})
	_, ourErr := ours.ModelInfer(ctx, &pb.ModelInferRequest{ModelName: "none"})
	require.Equal(t, status.Code(err), status.Code(ourErr))

	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 200 {
		req := &pb.ModelInferRequest{ModelName: "m", Id: fmt.Sprint(i)}
		for n := range 2 + random.IntN(2) {
			req.Inputs = append(req.Inputs, randomTensor(random, string(rune('a'+n))))
		}
		want, err := theirs.ModelInfer(ctx, req)
		require.NoError(t, err)
		got, err := ours.ModelInfer(ctx, req)
		require.NoError(t, err, "seed %d: %s", seed, req)
		require.Equal(t, want.GetId(), got.GetId())
		require.Equal(t, want.GetModelVersion(), got.GetModelVersion())
		for n, output := range want.GetOutputs() {
			output.Parameters = nil
			require.True(t, proto.Equal(output, got.GetOutputs()[n]), "seed %d: %v and not %v", seed, got.GetOutputs()[n], output)
		}
	}
}
