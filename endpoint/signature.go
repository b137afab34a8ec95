package endpoint

import (
	"slices"
	"strings"

	"github.com/azml-go/azml/internal/openinference"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scoring"
	"github.com/azml-go/azml/model"
)

// describe has requests and answers held against what the model says it takes and
// gives, if it is the only one and says so. MLflow does that itself, and so do models that
// were loaded into this process.
func describe(config *scoring.DeploymentConfig, d *record.EndpointDeployment, models []*model.Model) {
	if len(models) != 1 {
		return
	}
	s := models[0].Details().Signature
	if s == nil {
		return
	}
	config.Inputs, config.Outputs = tensors(s.Inputs), tensors(s.Outputs)
	if d.ModelFormat == scoring.ModelMLflow || d.ModelFormat == FormatONNX {
		return
	}
	if len(s.Inputs) > 0 {
		config.CheckInput = s.CheckInput
	}
	if len(s.Outputs) > 0 {
		config.CheckOutput = s.CheckOutput
	}
}

// tensors gives the fields as the Open Inference Protocol has them; nil for columns,
// which clients send as one tensor or as many, and for types that it does not know.
func tensors(fields []model.Field) (list []openinference.TensorMetadata) {
	for _, f := range fields {
		datatype, known := datatypeOf(f.Type)
		if f.Shape == nil || !known {
			return nil
		}
		t := openinference.TensorMetadata{Name: f.Name, Datatype: datatype, Shape: []int64{}}
		for _, n := range f.Shape {
			t.Shape = append(t.Shape, int64(n))
		}
		list = append(list, t)
	}
	return list
}

// datatypeOf gives the protocol's name of a type of NumPy's.
func datatypeOf(numpy string) (openinference.Datatype, bool) {
	if numpy == "object" || strings.HasPrefix(numpy, "str") {
		return openinference.Bytes, true
	}
	name := strings.ToUpper(strings.Replace(numpy, "float", "FP", 1))
	return openinference.Datatype(name), slices.Contains(openinference.Datatypes(), openinference.Datatype(name))
}
