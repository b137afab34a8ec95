package openinference_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/openinference"
)

// sent is a request for an inference that a change has spoilt, or not.
type sent struct {
	method, path, contentType string
	random                    *rand.Rand
	body                      map[string]any
	input                     map[string]any // the first of the body's inputs
	text                      string         // in place of the body, when it isn't empty
}

// change makes another request of one that the protocol allows.
type change struct {
	name string
	// allowed says that the protocol allows what comes of it.
	allowed bool
	// departs says how MLServer departs from the protocol there, empty where it follows it.
	departs departure
	make    func(*sent)
}

// departure is a way in which MLServer departs from the protocol, with the reason.
type departure string

const (
	// takesAny: its data are any value of JSON, which its models are to make sense of.
	takesAny departure = "MLServer takes data of any form"
	// takesAll: lists and names are not looked at beyond their types.
	takesAll departure = "MLServer takes lists that say nothing, names that are none or another's, and outputs that there aren't"
	// converts: pydantic makes whole numbers of texts and truth values.
	converts departure = "MLServer takes lengths that are no numbers"
	// refusesTypes: FastAPI reads no JSON that isn't called so, of which the protocol says nothing.
	refusesTypes departure = "MLServer refuses other types than JSON's"
	// refusesHalves: orjson refuses halves of characters, which RFC 8259 leaves open.
	refusesHalves departure = "MLServer refuses escapes that are no character"
)

// refuses tells whether MLServer refuses what is allowed, rather than taking what is not.
func (d departure) refuses() bool { return d == refusesTypes || d == refusesHalves }

// values are the JSON of values that a datatype can hold, and of such that it can't.
var values = map[openinference.Datatype]struct{ good, bad []string }{
	openinference.Bool:   {[]string{"true", "false"}, []string{"0", "1", `"true"`, "null", "{}"}},
	openinference.Int8:   {[]string{"-128", "127", "0"}, []string{"-129", "128", "1.5", `"1"`, "true", "null"}},
	openinference.Int16:  {[]string{"-32768", "32767"}, []string{"-32769", "32768", "1e1"}},
	openinference.Int32:  {[]string{"-2147483648", "2147483647"}, []string{"2147483648", "0.5"}},
	openinference.Int64:  {[]string{"-9223372036854775808", "9223372036854775807"}, []string{"9223372036854775808", "-9223372036854775809", "123456789012345678901234567890", `""`}},
	openinference.Uint8:  {[]string{"0", "255"}, []string{"-1", "256", "1.5"}},
	openinference.Uint16: {[]string{"0", "65535"}, []string{"-1", "65536"}},
	openinference.Uint32: {[]string{"0", "4294967295"}, []string{"-1", "4294967296", "false"}},
	openinference.Uint64: {[]string{"0", "18446744073709551615"}, []string{"-1", "18446744073709551616"}},
	openinference.FP16:   {[]string{"0.5", "-65504", "null", "7"}, []string{"65520", "true", `"0.5"`}},
	openinference.FP32:   {[]string{"0.5", "-1.25e30", "null", "3"}, []string{"1e39", "{}"}},
	openinference.FP64:   {[]string{"0.1", "1e308", "-5e-324", "null", "12345678.5"}, []string{`"NaN"`, "false"}},
	openinference.Bytes:  {[]string{`"é"`, `""`, `"\u0000\ud83d\ude00\\\""`, `"[1, 2]"`}, []string{"1", "true", "null", "{}"}},
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// setIn, dropIn and setTop are changes of one member.
func setIn(member string, from ...any) func(*sent) {
	return func(s *sent) { s.input[member] = pick(s.random, from...) }
}

func dropIn(member string) func(*sent) { return func(s *sent) { delete(s.input, member) } }

func setTop(member string, from ...any) func(*sent) {
	return func(s *sent) { s.body[member] = pick(s.random, from...) }
}

func setPath(from ...string) func(*sent) {
	return func(s *sent) { s.path = pick(s.random, from...) }
}

// write replaces the text of the body.
func write(f func(text string, random *rand.Rand) string) func(*sent) {
	return func(s *sent) {
		body, err := json.Marshal(s.body)
		if err != nil {
			panic(err)
		}
		s.text = f(string(body), s.random)
	}
}

// swap replaces a value of the first input by one of the list that choose gives.
func swap(choose func(good, bad []string) []string) func(*sent) {
	return func(s *sent) {
		of := values[openinference.Datatype(s.input["datatype"].(string))]
		data := s.input["data"].([]any)
		data[s.random.IntN(len(data))] = json.RawMessage(pick(s.random, choose(of.good, of.bad)...))
	}
}

type object = map[string]any

type list = []any

var changes = []change{
	{name: "none", allowed: true, make: func(*sent) {}},
	{name: "members that nobody knows", allowed: true, make: func(s *sent) {
		s.body["more"], s.input["more"] = object{"a": list{1}}, pick[any](s.random, nil, "x", 1.5)
	}},
	{name: "parameters", allowed: true, make: func(s *sent) {
		s.body["parameters"], s.input["parameters"] = object{"a": pick[any](s.random, 1, "b", true, nil)}, object{}
	}},
	{name: "no ID", allowed: true, make: func(s *sent) { delete(s.body, "id") }},
	{name: "an ID of null", allowed: true, make: setTop("id", nil)},
	{name: "an ID that is no text", make: setTop("id", 1, list{}, object{}, true)},
	{name: "all outputs", allowed: true, make: setTop("outputs", nil, list{})},
	{name: "extreme values", allowed: true, make: swap(func(good, _ []string) []string { return good })},
	{name: "values of another type", departs: takesAny, make: swap(func(_, bad []string) []string { return bad })},
	{name: "names of any text", allowed: true, make: setIn("name", "é \"\\\n", "\u2028", "a/b", strings.Repeat("n", 1000))},
	{name: "an empty tensor", allowed: true, make: func(s *sent) { s.input["shape"], s.input["data"] = pick(s.random, list{0}, list{2, 0}), list{} }},
	{name: "no dimension", allowed: true, make: func(s *sent) { s.input["shape"], s.input["data"] = list{}, s.input["data"].([]any)[:1] }},
	{name: "spaces", allowed: true, make: write(func(text string, _ *rand.Rand) string {
		return "\n\t " + strings.ReplaceAll(text, ":", " :\r\n") + " \n"
	})},
	{name: "the version in the path", allowed: true, make: setPath("/v2/models/m/versions/1/infer")},
	{name: "escapes in the path", allowed: true, make: setPath("/v2/models/%6d/infer", "/v2/models/m/%69nfer")},
	{name: "a query", allowed: true, make: setPath("/v2/models/m/infer?a=b", "/v2/models/m/infer?model_name=none")},
	{name: "types of JSON", allowed: true, make: func(s *sent) {
		s.contentType = pick(s.random, "application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json")
	}},
	{name: "no type", allowed: true, make: func(s *sent) { s.contentType = "" }},
	{name: "other types", allowed: true, departs: refusesTypes, make: func(s *sent) { s.contentType = pick(s.random, "text/plain", "application/octet-stream", "nonsense") }},
	{name: "halves of characters", allowed: true, departs: refusesHalves, make: write(func(_ string, random *rand.Rand) string {
		return `{"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ["` + pick(random, `\ud800`, `\udc00 `) + `"]}]}`
	})},

	{name: "no inputs", departs: takesAll, make: setTop("inputs", list{})},
	{name: "inputs that are none", make: setTop("inputs", nil, 1, "x", object{}, list{1}, list{nil}, list{list{}})},
	{name: "inputs are missing", make: func(s *sent) { delete(s.body, "inputs") }},
	{name: "no name", make: dropIn("name")},
	{name: "no shape", make: dropIn("shape")},
	{name: "no datatype", make: dropIn("datatype")},
	{name: "no data", make: dropIn("data")},
	{name: "a name that is no text", make: setIn("name", nil, 1, true, list{"x"}, object{})},
	{name: "an empty name", departs: takesAll, make: setIn("name", "")},
	{name: "a name twice", departs: takesAll, make: func(s *sent) { s.body["inputs"] = list{s.input, s.input} }},
	{name: "a shape that is none", make: setIn("shape", nil, 1, "x", object{}, list{1.5}, list{"x"}, list{nil}, list{list{1}}, list{object{}})},
	{name: "lengths that are no numbers", departs: converts, make: setIn("shape", list{"1"}, list{true})},
	{name: "lengths below 0", departs: takesAny, make: setIn("shape", list{-1}, list{1, -1})},
	{name: "lengths that are too large", departs: takesAny, make: setIn("shape", list{1 << 62}, list{1 << 31, 1 << 31, 1 << 31})},
	{name: "a length of null", make: func(s *sent) { s.input["shape"], s.input["data"] = list{nil}, list{} }},
	{name: "a length that is no INT64", make: setIn("shape", list{json.RawMessage("18446744073709551617")})},
	{name: "datatypes that are none", make: setIn("datatype", nil, 7, "", "FP31", "fp32", "INT", "FLOAT", "STRING", list{"FP32"}, object{})},
	{name: "data that are no list", departs: takesAny, make: setIn("data", 1, "x", nil, object{}, true)},
	{name: "a value too many", departs: takesAny, make: func(s *sent) { s.input["data"] = append(s.input["data"].([]any), s.input["data"].([]any)[0]) }},
	{name: "a value too few", departs: takesAny, make: func(s *sent) { s.input["data"] = s.input["data"].([]any)[1:] }},
	{name: "lists of different lengths", departs: takesAny, make: func(s *sent) {
		data := s.input["data"].([]any)
		s.input["shape"], s.input["data"] = list{2, 2}, list{list{data[0], data[0]}, pick[any](s.random, data[0], list{data[0]}, list{}, list{data[0], list{data[0]}})}
	}},
	{name: "lists too deep", departs: takesAny, make: func(s *sent) { s.input["data"] = list{list{s.input["data"]}} }},
	{name: "parameters that are none", make: setTop("parameters", 1, "x", list{}, true)},
	{name: "parameters of an input that are none", make: setIn("parameters", 1, "x", list{}, false)},
	{name: "outputs that are none", make: setTop("outputs", 1, "x", object{}, list{1}, list{nil}, list{object{}}, list{object{"name": 1}})},
	{name: "outputs that there aren't", departs: takesAll, make: setTop("outputs", list{object{"name": "none"}}, list{object{"name": ""}})},
	{name: "other cases of members", make: write(func(text string, random *rand.Rand) string {
		name := pick(random, "inputs", "shape", "data", "datatype")
		return strings.ReplaceAll(text, `"`+name+`":`, `"`+strings.ToUpper(name[:1])+name[1:]+`":`)
	})},
	{name: "half a body", make: write(func(text string, random *rand.Rand) string { return text[:1+random.IntN(len(text)-1)] })},
	{name: "more behind the body", make: write(func(text string, random *rand.Rand) string { return text + pick(random, "{}", "]", "x", ",", "\x00") })},
	{name: "no object", make: write(func(_ string, random *rand.Rand) string {
		return pick(random, "null", "[]", `"x"`, "1", " ", "x", "\xef\xbb\xbf{}")
	})},
	{name: "numbers that JSON doesn't have", make: write(func(_ string, random *rand.Rand) string {
		return `{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [` + pick(random, "NaN", "Infinity", "-Infinity", "nan", "01", "+1", ".5", "1.", "0x1", "1e", "'1'", "True", "1,") + `]}]}`
	})},
	{name: "numbers too large for all", make: write(func(_ string, random *rand.Rand) string {
		return `{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [` + pick(random, "1e400", "-1e999") + `]}]}`
	})},
	{name: "texts that are none", make: write(func(_ string, random *rand.Rand) string {
		return `{"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ["` + pick(random, "\xff", "\xc3", "\xed\xa0\x80", `\x`, "\n", "\x00") + `"]}]}`
	})},
	{name: "a member twice", make: write(func(text string, _ *rand.Rand) string {
		return text[:len(text)-1] + `, "inputs": [{"name": "y", "datatype": "FP32"}]}`
	})},
	{name: "very deep", make: write(func(_ string, random *rand.Rand) string { return strings.Repeat("[", 1+random.IntN(20000)) })},
	{name: "a model that there isn't", make: setPath("/v2/models/none/infer", "/v2/models/M/infer", "/v2/models/m%20/infer", "/v2/models/m%00/infer", "/v2/models/%ff/infer", "/v2/models/..%2fm/infer")},
	{name: "a version that there isn't", make: setPath("/v2/models/m/versions/2/infer", "/v2/models/m/versions/01/infer", "/v2/models/m/versions/latest/infer", "/v2/models/m/versions/-1/infer")},
	{name: "a path that there isn't", make: setPath("/v2/models/m/infers", "/v2/models/m/versions/infer", "/v2/infer", "/v1/models/m/infer", "/v2/models/m/versions/1/versions/1/infer", "/v2/models/m/x/infer", "/V2/models/m/infer")},
	{name: "slashes", make: setPath("/v2/models//infer", "/v2/models/m/infer/", "/v2//models/m/infer", "/v2/models/m/versions//infer", "/v2/models/x/../m/infer", "/v2/./models/m/infer")},
	{name: "another method", make: func(s *sent) { s.method = pick(s.random, "GET", "PUT", "PATCH", "DELETE", "HEAD") }},
}

// randomSent gives a request that the protocol allows.
func randomSent(random *rand.Rand, i int) *sent {
	s := &sent{method: "POST", path: "/v2/models/m/infer", contentType: "application/json", random: random}
	inputs := list{}
	for n := range 1 + random.IntN(3) {
		datatype := pick(random, openinference.Datatypes()...)
		shape, data := list{1 + random.IntN(3)}, list{}
		if random.IntN(2) == 0 {
			shape = append(shape, 1)
		}
		for range shape[0].(int) {
			data = append(data, json.RawMessage(pick(random, values[datatype].good...)))
		}
		inputs = append(inputs, object{"name": string(rune('a' + n)), "shape": shape, "datatype": string(datatype), "data": data})
	}
	s.input = inputs[0].(object)
	s.body = object{"id": fmt.Sprint("request ", i), "inputs": inputs}
	return s
}

// send gives the status and what was answered.
func (s *sent) send(t *testing.T, url string) (int, any) {
	t.Helper()
	if s.text == "" {
		write(func(text string, _ *rand.Rand) string { return text })(s)
	}
	req, err := http.NewRequestWithContext(t.Context(), s.method, url+s.path, strings.NewReader(s.text))
	require.NoError(t, err)
	if s.contentType != "" {
		req.Header.Set("Content-Type", s.contentType)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var said any
	_ = json.NewDecoder(resp.Body).Decode(&said)
	return resp.StatusCode, shared(said)
}

// serveTensors serves a model that gives back the tensors that it is given.
func serveTensors(t *testing.T) *httptest.Server {
	t.Helper()
	r := &repository{}
	r.model = openinference.Model{Metadata: openinference.Metadata{Name: "m"}, Version: "1", Ready: func() error { return nil },
		Tensors: func(_ context.Context, inputs []openinference.Tensor) ([]openinference.Tensor, error) {
			return inputs, nil
		}}
	s := httptest.NewServer(openinference.NewHandler(r, openinference.Options{Name: "azml", Version: "1.0", MaxBody: 1 << 20}))
	t.Cleanup(s.Close)
	return s
}

// checkRandomRequests: what the protocol allows and what it forbids, at random, is answered as it says, and
// as MLServer does where that follows it: where it doesn't is known of each change.
func checkRandomRequests(t *testing.T, theirs string) {
	t.Helper()
	ours := serveTensors(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	const rounds = 12
	for i := range rounds * len(changes) {
		c := changes[i%len(changes)]
		s := randomSent(random, i)
		c.make(s)
		theirStatus, want := s.send(t, theirs)
		status, got := s.send(t, ours.URL)
		about := fmt.Sprintf("seed %d: %s (%s): %s %s %q %.500q: MLServer says %d, ours %d", seed, c.name, c.departs, s.method, s.path, s.contentType, s.text, theirStatus, status)
		require.Equal(t, c.allowed, status == http.StatusOK, about)
		require.Less(t, status, http.StatusInternalServerError, about)
		if c.departs != "" {
			require.Equal(t, !c.departs.refuses(), theirStatus == http.StatusOK, about)
			continue
		}
		require.Equal(t, c.allowed, theirStatus == http.StatusOK, about)
		require.Less(t, theirStatus, http.StatusInternalServerError, about)
		if c.allowed {
			require.Equal(t, want, got, about)
		}
	}
}
