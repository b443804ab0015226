{{- define "fleetscope.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "fleetscope.selector" -}}
app.kubernetes.io/name: fleetscope
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fleetscope.labels" -}}
{{ include "fleetscope.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "fleetscope.tokenSecret" -}}
{{- .Values.influxdb.existingSecret | default (printf "%s-influxdb" (include "fleetscope.name" .)) }}
{{- end }}

{{- define "fleetscope.shardUrls" -}}
{{- $name := include "fleetscope.name" . }}
{{- range $index := until (int .Values.shards) }}{{ if $index }},{{ end }}
{{- printf "%s://%s-%d.%s:9797" $.Values.shardScheme $name $index $name }}
{{- end }}
{{- end }}
