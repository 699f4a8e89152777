package localaws

import "slices"

// optIn are the regions that an account has to switch on. Source: "AWS Regions", AWS Account Management
// Reference Guide.
var optIn = []string{
	"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
	"ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1",
	"me-central-1", "me-south-1", "mx-central-1",
}

// snsPrincipal is who SNS is to a queue: from a region that has to be switched on to one that has not,
// it comes by the name of its region. Source: "Cross-region delivery", SNS Developer Guide.
func snsPrincipal(from, to string) string {
	if slices.Contains(optIn, from) && !slices.Contains(optIn, to) {
		return "sns." + from + ".amazonaws.com"
	}
	return "sns.amazonaws.com"
}
