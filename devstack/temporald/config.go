package temporald

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/common/testing/freeport"
)

const clusterName = "active"

// dynamicConfig keeps short timers on time: by default a timer may be a second late and a shard looks
// for work twenty times a second.
func dynamicConfig() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		dynamicconfig.WorkflowTimeSkippingEnabled.Key(): true,
		dynamicconfig.TimerProcessorMaxTimeShift.Key():  10 * time.Millisecond,
		dynamicconfig.TimerProcessorMaxPollRPS.Key():    2000,
		dynamicconfig.TransferProcessorMaxPollRPS.Key(): 2000,
		// One process needs no partitions of its task queues: tasks and polls would be passed on among them,
		// and a task that is passed on in vain is held for a minute.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
		dynamicconfig.VisibilityProcessorMaxPollRPS.Key():       2000,
		// The default second delays continue-as-new, and makes a clock that skips time jump too far.
		dynamicconfig.WorkflowIdReuseMinimalInterval.Key(): time.Duration(0),
		// One write at a time per shard, the default, lets timers starve while starts pour in.
		dynamicconfig.ShardIOConcurrency.Key(): 8,
	}
}

// serverConfig describes the four services in one process. They know each other's addresses from the
// start, so there is no membership to agree on and none left behind by a process that was killed.
func serverConfig(c Config, stores config.Persistence) (*config.Config, map[primitives.ServiceName]static.Hosts, error) {
	host, port, err := net.SplitHostPort(c.FrontendAddr)
	if err != nil {
		return nil, nil, fmt.Errorf("temporal frontend: %w", err)
	}
	frontendPort, err := strconv.Atoi(port)
	if err != nil {
		return nil, nil, fmt.Errorf("temporal frontend: %w", err)
	}
	// These ports stay out of the system's hands for a minute, so nobody else is given one meanwhile.
	httpPort := freeport.MustGetFreePort()
	services := map[string]config.Service{
		"frontend": {RPC: config.RPC{GRPCPort: frontendPort, HTTPPort: httpPort, BindOnIP: host}},
	}
	hosts := map[primitives.ServiceName]static.Hosts{
		primitives.FrontendService: static.SingleLocalHost(c.FrontendAddr),
	}
	for _, name := range []primitives.ServiceName{
		primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
	} {
		port := freeport.MustGetFreePort()
		services[string(name)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
		hosts[name] = static.SingleLocalHost(hostPort(port))
	}
	off := config.HistoryArchival{State: config.ArchivalDisabled}
	return &config.Config{
		Persistence: stores,
		Services:    services,
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: c.FrontendAddr},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		PublicClient:        config.PublicClient{HostPort: c.FrontendAddr},
		Archival: config.Archival{
			History:    off,
			Visibility: config.VisibilityArchival{State: config.ArchivalDisabled},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: config.ArchivalDisabled},
		}},
	}, hosts, nil
}
