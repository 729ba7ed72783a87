import type { Connector } from './connector.ts'
import { github } from './github/github.ts'
import { monitor } from './monitor/monitor.ts'
import { pulumi } from './pulumi/pulumi.ts'
import { terraform } from './terraform/terraform.ts'

/** The connectors that come with Keyward, in the order in which they are shown. */
export const shippedConnectors: readonly Connector[] = [github, pulumi, terraform, monitor]
