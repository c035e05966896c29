package temporald

import "go.temporal.io/server/common/config"

// Faults lets the server's own store fail, for tests of what is built on the server.
type Faults struct {
	Rate float64 // how many of the calls that read or write executions fail, from 0 to 1
	Seed int64   // draws which; 0 = others each time
}

// injection describes the faults to the server. Half of the calls that fail have happened all the same.
func (f Faults) injection() *config.FaultInjection {
	if f.Rate == 0 {
		return nil
	}
	methods := map[string]config.FaultInjectionMethodConfig{}
	for _, name := range []string{"CreateWorkflowExecution", "UpdateWorkflowExecution", "GetWorkflowExecution", "AppendHistoryNodes"} {
		methods[name] = config.FaultInjectionMethodConfig{
			Seed:   f.Seed,
			Errors: map[string]float64{"ExecuteAndTimeout": f.Rate / 2, "Timeout": f.Rate / 4, "Unavailable": f.Rate / 4},
		}
	}
	return &config.FaultInjection{Targets: config.FaultInjectionTargets{
		DataStores: map[config.DataStoreName]config.FaultInjectionDataStoreConfig{config.ExecutionStoreName: {Methods: methods}},
	}}
}
