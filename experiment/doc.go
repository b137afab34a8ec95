// Package experiment groups runs under a name and makes them: runs that are
// logged in process ([Experiment.Run], [Experiment.StartLogging]) and scripts
// that are submitted to a compute target ([Experiment.Submit]).
package experiment
