// Package filter is the language in which runs, experiments and models are
// searched: MLflow's filters and orders, with OR, NOT and parentheses.
//
// A [Schema] says what there is to be asked for. It parses a filter into an
// [Expr] and orders into [Order]s. [Match] and [Compare] say what they mean, by
// looking at a [Row] in memory: whatever answers a search in another way has to
// agree with them.
//
// A comparison with a value that is missing is neither true nor false but
// unknown, as in SQL: NOT leaves it unknown, AND and OR go on with what else
// they know, and only what is true is found. NaN is a value: it equals no
// number and is less or greater than none, so only != finds it.
//
// The bounds: a filter has at most 65,536 bytes, 500 comparisons, 10,000 values
// and 64 parentheses and NOTs within each other; an order at most 16 keys.
package filter
