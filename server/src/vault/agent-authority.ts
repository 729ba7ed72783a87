/** Loaded with the first certificate: most servers never make one. */
const certificates = () => import('./agent-certificates.ts')
type Certificates = Awaited<ReturnType<typeof certificates>>

/** The authority that signs the certificates of agents on other machines, and of the server that they connect to. */
export const agentAuthority = {
  make: async (...given: Parameters<Certificates['makeAuthority']>) =>
    (await certificates()).makeAuthority(...given),
  signForAgent: async (...given: Parameters<Certificates['signForAgent']>) =>
    (await certificates()).signForAgent(...given),
  signForFront: async (...given: Parameters<Certificates['signForFront']>) =>
    (await certificates()).signForFront(...given),
}
