package inferencegrpc

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/azml-go/azml/internal/openinference/inferencepb"
)

type tensor = pb.ModelInferRequest_InferInputTensor

// change makes another request of one that the protocol allows.
type change struct {
	name string
	// want is the code by which the protocol has the result answered.
	want codes.Code
	// departs says how MLServer departs from the protocol there, empty where it follows it.
	departs departure
	make    func(req *pb.ModelInferRequest, random *rand.Rand)
}

// departure is a way in which MLServer departs from the protocol.
type departure string

const (
	follows   departure = ""
	takesAll  departure = "MLServer holds names and lists neither against each other nor against shapes: its models are to"
	failsLate departure = "MLServer fails while it reads or answers what isn't allowed, and calls that its own fault"
	sendsIDs  departure = "MLServer sends the ID as metadata, too, which can't be any text"
	givesAll  departure = "MLServer's models give all outputs, whichever are asked for"
	either    departure = "MLServer takes it or fails, by what is in it"
)

// allows tells whether MLServer may answer with that code.
func (d departure) allows(want, code codes.Code) bool {
	switch d {
	case takesAll:
		return code == codes.OK
	case failsLate, sendsIDs:
		return code == codes.Internal
	case either:
		return code == codes.OK || code == codes.Internal
	}
	return code == want
}

func first(make func(in *tensor)) func(*pb.ModelInferRequest, *rand.Rand) {
	return func(req *pb.ModelInferRequest, _ *rand.Rand) { make(req.GetInputs()[0]) }
}

var changes = []change{
	{"none", codes.OK, follows, func(*pb.ModelInferRequest, *rand.Rand) {}},
	{"a version", codes.OK, follows, func(req *pb.ModelInferRequest, _ *rand.Rand) { req.ModelVersion = "1" }},
	{"another version", codes.NotFound, follows, func(req *pb.ModelInferRequest, _ *rand.Rand) { req.ModelVersion = "2" }},
	{"another model", codes.NotFound, follows, func(req *pb.ModelInferRequest, _ *rand.Rand) { req.ModelName = "none" }},
	{"no model", codes.NotFound, follows, func(req *pb.ModelInferRequest, _ *rand.Rand) { req.ModelName = "" }},
	{"parameters", codes.OK, follows, func(req *pb.ModelInferRequest, random *rand.Rand) {
		req.Parameters = map[string]*pb.InferParameter{"a": {ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: random.Int64()}}}
	}},
	{"any ID", codes.OK, sendsIDs, func(req *pb.ModelInferRequest, random *rand.Rand) { req.Id = fmt.Sprintf("é \"%d\"\n", random.Int()) }},
	{"no inputs", codes.InvalidArgument, takesAll, func(req *pb.ModelInferRequest, _ *rand.Rand) { req.Inputs = nil }},
	{"no datatype", codes.InvalidArgument, failsLate, first(func(in *tensor) { in.Datatype = "" })},
	{"another datatype's name", codes.InvalidArgument, failsLate, first(func(in *tensor) { in.Datatype = "FLOAT" })},
	{"a datatype in small letters", codes.InvalidArgument, failsLate, first(func(in *tensor) { in.Datatype = "fp64" })},
	{"too few values", codes.InvalidArgument, takesAll, first(func(in *tensor) { in.Shape = append(in.GetShape(), 2) })},
	{"too many values", codes.InvalidArgument, takesAll, first(func(in *tensor) { in.Shape = []int64{0} })},
	{"negative lengths", codes.InvalidArgument, takesAll, first(func(in *tensor) { in.Shape = []int64{-1, -1} })},
	{"no contents", codes.InvalidArgument, takesAll, first(func(in *tensor) { in.Contents = nil })},
	{"values of another list", codes.InvalidArgument, either, first(func(in *tensor) {
		in.Contents = &pb.InferTensorContents{Uint64Contents: make([]uint64, in.GetShape()[0]*in.GetShape()[1])}
	})},
	{"raw contents beside lists", codes.InvalidArgument, takesAll, func(req *pb.ModelInferRequest, _ *rand.Rand) { req.RawInputContents = [][]byte{{1}} }},
	{"raw contents of one input", codes.InvalidArgument, failsLate, func(req *pb.ModelInferRequest, _ *rand.Rand) {
		for _, in := range req.GetInputs() {
			in.Contents = nil
		}
		req.RawInputContents = [][]byte{{1}}
	}},
	{"an output that there is not", codes.InvalidArgument, takesAll, func(req *pb.ModelInferRequest, _ *rand.Rand) {
		req.Outputs = []*pb.ModelInferRequest_InferRequestedOutputTensor{{Name: "nowhere"}}
	}},
	{"the first output", codes.OK, givesAll, func(req *pb.ModelInferRequest, _ *rand.Rand) {
		req.Outputs = []*pb.ModelInferRequest_InferRequestedOutputTensor{{Name: req.GetInputs()[0].GetName()}}
	}},
	{"an input twice", codes.InvalidArgument, takesAll, func(req *pb.ModelInferRequest, _ *rand.Rand) { req.Inputs = append(req.Inputs, req.GetInputs()[0]) }},
	{"no name", codes.InvalidArgument, takesAll, first(func(in *tensor) { in.Name = "" })},
}

// TestRandomRequestsBesideMLServer changes random requests and compares what becomes of them
// where MLServer follows the protocol. Where it departs from that, it must do so as is said:
// else the departure is none any more.
func TestRandomRequestsBesideMLServer(t *testing.T) {
	t.Parallel()
	theirs, ours := startMLServer(t), serveModels(t, echo)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	const each = 10
	for _, c := range changes {
		for i := range each {
			req := &pb.ModelInferRequest{ModelName: "m", Id: fmt.Sprint(i)}
			for n := range 2 + random.IntN(2) {
				req.Inputs = append(req.Inputs, randomTensor(random, string(rune('a'+n))))
			}
			c.make(req, random)
			want, theirErr := theirs.ModelInfer(t.Context(), req)
			got, err := ours.ModelInfer(t.Context(), req)
			require.Equal(t, c.want, status.Code(err), "%s, seed %d: %v", c.name, seed, err)
			require.True(t, c.departs.allows(c.want, status.Code(theirErr)), "%s, seed %d, MLServer: %v", c.name, seed, theirErr)
			if c.departs == givesAll {
				require.Len(t, got.GetOutputs(), 1)
				require.Len(t, want.GetOutputs(), len(req.GetInputs()))
			}
			if err == nil && c.departs == follows {
				require.True(t, proto.Equal(bare(want), bare(got)), "%s, seed %d: %v and not %v", c.name, seed, got, want)
			}
		}
	}
}

// bare is an answer without the parameters that a server may add.
func bare(resp *pb.ModelInferResponse) *pb.ModelInferResponse {
	resp.Parameters = nil
	for _, output := range resp.GetOutputs() {
		output.Parameters = nil
	}
	return resp
}
