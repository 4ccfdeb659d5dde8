// Swagger UI on this gateway's own description.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true });
