import type { ConnectorView, Json } from '@keyward/contract'

/** A setting of a service, as a form asks for it. */
export type SettingField = { name: string; required: boolean; isList: boolean; placeholder: string }

const isObject = (value: Json | undefined): value is { [name: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Of the JSON Schema that a connector has for its settings. */
export function settingFields({ settings }: Pick<ConnectorView, 'settings'>): SettingField[] {
  if (!isObject(settings) || !isObject(settings['properties'])) return []
  const required = Array.isArray(settings['required']) ? settings['required'] : []
  return Object.entries(settings['properties']).map(([name, schema]) => ({
    name,
    required: required.includes(name),
    isList: isObject(schema) && schema['type'] === 'array',
    placeholder: isObject(schema) && typeof schema['default'] === 'string' ? schema['default'] : '',
  }))
}

/** What was written, without what was left empty; lists are separated by commas or spaces. */
export function settingsOf(
  fields: readonly SettingField[],
  written: Readonly<Record<string, string>>,
): Record<string, Json> {
  const given = fields.flatMap(({ name, isList }): [string, Json][] => {
    const text = written[name]?.trim() ?? ''
    if (text === '') return []
    return [[name, isList ? text.split(/[\s,]+/).filter(Boolean) : text]]
  })
  return Object.fromEntries(given)
}
