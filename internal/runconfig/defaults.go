package runconfig

// defaulter is a section with defaults other than zero. They are set before a
// file is read over them, so a key that is missing or null has its default.
type defaulter interface{ setDefaults() }

func (c *RunConfig) setDefaults() {
	c.Target, c.Framework, c.Communicator, c.NodeCount = "local", "Python", "None", 1
	for _, section := range []defaulter{&c.Environment, &c.History, &c.Spark, &c.Docker, &c.HDI,
		&c.TensorFlow, &c.MPI, &c.PyTorch, &c.ParallelTask} {
		section.setDefaults()
	}
}

func (e *Environment) setDefaults() {
	e.Name = "default-environment"
	e.Python.InterpreterPath = "python"
	e.Docker.SharedVolumes, e.Docker.ShmSize = true, DefaultShmSize
	e.Docker.Platform = Platform{OS: "Linux", Architecture: "amd64"}
	e.Spark.PrecachePackages = true
}

func (h *History) setDefaults() {
	*h = History{OutputCollection: true, SnapshotProject: true, DirectoriesToWatch: []string{"logs"}}
}

func (s *Spark) setDefaults() {
	s.Configuration = map[string]any{"spark.app.name": "Azure ML Experiment", "spark.yarn.maxAppAttempts": 1}
}

func (d *Docker) setDefaults() { d.SharedVolumes, d.ShmSize = true, DefaultShmSize }

func (h *HDI) setDefaults() { h.YarnDeployMode = "cluster" }

func (t *TensorFlow) setDefaults() { t.WorkerCount, t.ParameterServerCount = 1, 1 }

func (m *MPI) setDefaults() { m.ProcessCountPerNode, m.NodeCount = 1, 1 }

func (p *PyTorch) setDefaults() { p.CommunicationBackend, p.NodeCount = "nccl", 1 }

func (p *ParallelTask) setDefaults() { p.WorkerCountPerNode = 1 }

func (r *DataReference) setDefaults() { r.Mode = "mount" }

func (b *BuildContext) setDefaults() { b.DockerfilePath = "Dockerfile" }
