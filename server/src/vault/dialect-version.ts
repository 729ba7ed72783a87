/** The HashiCorp Vault whose API this is: clients, Terraform's provider among them, ask what they may use by the version. */
export const dialect = '1.21.0'

/** What `/v1` says of its version; our own follows as build metadata, which no client compares. */
export const dialectVersion = (own = '0.0.0'): string => `${dialect}+keyward.${own.replaceAll('+', '.')}`
