package main

import (
	"bytes"
	_ "embed" // the table is part of the program
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
)

//go:embed data/breast_cancer.csv
var breastCancer []byte

// table is a set of examples: numbers in, a class out.
type table struct {
	classes []string    // the names of classes 0 and 1
	rows    [][]float64 // the measurements of each patient
	labels  []int       // the class of each patient
}

// readTable reads a table whose first line is "rows,columns,class 0,class 1"
// and whose other lines are measurements and a class.
func readTable(r io.Reader) (table, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1
	lines, err := in.ReadAll()
	if err != nil {
		return table{}, err
	}
	if len(lines) == 0 || len(lines[0]) != 4 {
		return table{}, fmt.Errorf("line 1 must be rows,columns,class,class")
	}
	columns, err := strconv.Atoi(lines[0][1])
	if err != nil {
		return table{}, fmt.Errorf("line 1: %w", err)
	}
	t := table{classes: lines[0][2:]}
	for i, line := range lines[1:] {
		if len(line) != columns+1 {
			return table{}, fmt.Errorf("line %d has %d fields instead of %d", i+2, len(line), columns+1)
		}
		if err := t.add(line); err != nil {
			return table{}, fmt.Errorf("line %d: %w", i+2, err)
		}
	}
	if strconv.Itoa(len(t.rows)) != lines[0][0] {
		return table{}, fmt.Errorf("%d rows instead of %s", len(t.rows), lines[0][0])
	}
	return t, nil
}

func (t *table) add(line []string) error {
	last := len(line) - 1
	row := make([]float64, last)
	for i, field := range line[:last] {
		value, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return err
		}
		row[i] = value
	}
	label, err := strconv.Atoi(line[last])
	if err != nil || label < 0 || label >= len(t.classes) {
		return fmt.Errorf("%q is no class", line[last])
	}
	t.rows, t.labels = append(t.rows, row), append(t.labels, label)
	return nil
}

// split deals the rows out at random, always alike for the same seed: a share
// is held out, the rest is for training.
func (t table) split(share float64, seed uint64) (training, held table) {
	training.classes, held.classes = t.classes, t.classes
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a split that can be repeated is the point
	for n, i := range random.Perm(len(t.rows)) {
		part := &training
		if n < int(share*float64(len(t.rows))) {
			part = &held
		}
		part.rows, part.labels = append(part.rows, t.rows[i]), append(part.labels, t.labels[i])
	}
	return training, held
}

func loadTable() (table, error) { return readTable(bytes.NewReader(breastCancer)) }
