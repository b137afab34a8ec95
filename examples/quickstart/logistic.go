package main

import "math"

// classifier is logistic regression on standardised measurements: it tells how
// likely a row is of class 1. Its JSON is the model that is registered.
type classifier struct {
	Classes []string  `json:"classes"`
	Mean    []float64 `json:"mean"`
	Scale   []float64 `json:"scale"`
	Weights []float64 `json:"weights"`
	Bias    float64   `json:"bias"`
}

// newClassifier makes a classifier that knows the mean and the standard
// deviation of each measurement, and nothing else yet.
func newClassifier(t table) *classifier {
	columns, n := len(t.rows[0]), float64(len(t.rows))
	c := &classifier{Classes: t.classes,
		Mean: make([]float64, columns), Scale: make([]float64, columns), Weights: make([]float64, columns)}
	for j := range columns {
		for _, row := range t.rows {
			c.Mean[j] += row[j] / n
		}
		for _, row := range t.rows {
			c.Scale[j] += (row[j] - c.Mean[j]) * (row[j] - c.Mean[j]) / n
		}
		c.Scale[j] = math.Sqrt(c.Scale[j])
	}
	return c
}

// logit is the logarithm of the odds that the row is of class 1.
func (c *classifier) logit(row []float64) float64 {
	z := c.Bias
	for j, x := range row {
		z += c.Weights[j] * (x - c.Mean[j]) / c.Scale[j]
	}
	return z
}

// probability tells how likely the row is of class 1.
func (c *classifier) probability(row []float64) float64 {
	return 1 / (1 + math.Exp(-c.logit(row)))
}

// loss is the mean cross-entropy of the table's rows.
func (c *classifier) loss(t table) float64 {
	sum := 0.0
	for i, row := range t.rows {
		z := c.logit(row)
		// log(1+exp(z)) written so that a large z does not overflow.
		sum += math.Max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) - float64(t.labels[i])*z
	}
	return sum / float64(len(t.rows))
}

// gradient is the derivative of the loss by each weight and by the bias.
func (c *classifier) gradient(t table) (weights []float64, bias float64) {
	weights = make([]float64, len(c.Weights))
	n := float64(len(t.rows))
	for i, row := range t.rows {
		wrong := (c.probability(row) - float64(t.labels[i])) / n
		for j, x := range row {
			weights[j] += wrong * (x - c.Mean[j]) / c.Scale[j]
		}
		bias += wrong
	}
	return weights, bias
}

// descend takes one step of gradient descent over the whole table.
func (c *classifier) descend(t table, rate float64) {
	weights, bias := c.gradient(t)
	for j, g := range weights {
		c.Weights[j] -= rate * g
	}
	c.Bias -= rate * bias
}

// confusion counts the rows by their true class and the predicted one.
func (c *classifier) confusion(t table) [][]int {
	matrix := [][]int{{0, 0}, {0, 0}}
	for i, row := range t.rows {
		matrix[t.labels[i]][class(c.probability(row))]++
	}
	return matrix
}

// accuracy is the share of rows whose class is predicted right.
func (c *classifier) accuracy(t table) float64 {
	matrix := c.confusion(t)
	return float64(matrix[0][0]+matrix[1][1]) / float64(len(t.rows))
}

// class is the class that a probability of class 1 stands for.
func class(probability float64) int {
	if probability >= 0.5 {
		return 1
	}
	return 0
}
