package broker

import (
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"datawatch/pkg/config"
)

// TestTopicsAreCreatedByABrokerThatTakesItsTime has a broker that says, as Kafka does, that the time it was given is over where
// that is less than ten seconds.
func TestTopicsAreCreatedByABrokerThatTakesItsTime(t *testing.T) {
	const createTopics, takes, timedOut = 19, 10_000, 7
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	cluster.ControlKey(createTopics, func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request := r.(*kmsg.CreateTopicsRequest)
		if request.TimeoutMillis >= takes {
			return nil, nil, false
		}
		response := request.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, asked := range request.Topics {
			topic := kmsg.NewCreateTopicsResponseTopic()
			topic.Topic, topic.ErrorCode = asked.Topic, timedOut
			response.Topics = append(response.Topics, topic)
		}
		return response, nil, true
	})
	c := config.DefaultShared().Broker
	c.Addresses = cluster.ListenAddrs()
	if err := EnsureTopics(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}
